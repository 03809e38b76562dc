package store_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"

	"untether/internal/audit"
	"untether/internal/store"
	"untether/internal/store/storetest"
	"untether/internal/work"
)

// crashing names, in the environment, the database that this test binary writes to until it is killed.
const crashing = "UNTETHER_TEST_CRASHING"

func TestMain(m *testing.M) {
	if address := os.Getenv(crashing); address != "" {
		writeForEver(address)
	}
	os.Exit(m.Run())
}

// crashRows is how many rows of work one transaction of writeForEver has, beside one search and one entry in the trail.
const crashRows = 8

// writeForEver commits transactions from many goroutines and says the id of each one on a line, after it was committed.
func writeForEver(address string) {
	db, err := store.Open(ctx, address)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var said sync.Mutex
	for w := range 8 {
		go func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%d-%d", w, i)
				if err := db.Write(ctx, func(ctx context.Context, tx tx) error { return crashWrite(ctx, tx, id) }); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				said.Lock()
				fmt.Println(id)
				said.Unlock()
			}
		}()
	}
	select {}
}

func crashWrite(ctx context.Context, tx tx, id string) error {
	if err := tx.AddSearch(ctx, aSearch("s", id)); err != nil {
		return err
	}
	items := make([]work.Item, crashRows)
	for i := range items {
		items[i] = item("s", id, fmt.Sprintf("app:%d", i))
	}
	if err := tx.AddWork(ctx, items); err != nil {
		return err
	}
	return tx.AddAudit(ctx, audit.Entry{At: start, Actor: "hub", Action: "search.accepted", Subject: "s", Ref: id})
}

// A process that is killed in mid-write leaves whole transactions only, and every one that it was told of.
func TestKilledInMidWrite(t *testing.T) {
	storetest.EachAddress(t, func(t *testing.T, address string) {
		said := map[string]bool{}
		for round, lines := range []int{1, 60, 300} {
			for id := range killAfter(t, address, lines) {
				said[fmt.Sprint(round)+"/"+id] = true
			}
			raw := storetest.Dial(t, address)
			for query, what := range map[string]string{
				`SELECT COUNT(*) FROM searches WHERE (SELECT COUNT(*) FROM work WHERE work.ref = searches.id) <> 8`:   "searches have not all their work",
				`SELECT COUNT(*) FROM searches WHERE (SELECT COUNT(*) FROM audit WHERE audit.ref = searches.id) <> 1`: "searches have no entry in the trail",
				`SELECT COUNT(*) FROM work WHERE ref NOT IN (SELECT id FROM searches)`:                                "items are about no search",
				`SELECT COUNT(*) FROM audit WHERE ref NOT IN (SELECT id FROM searches)`:                               "entries are about no search",
			} {
				var n int
				if err := raw.QueryRow(query).Scan(&n); err != nil || n > 0 {
					t.Errorf("round %d: %d %s, %v", round, n, what, err)
				}
			}
			for id := range said {
				var n int
				if err := raw.QueryRow(`SELECT COUNT(*) FROM searches WHERE id = $1`, id[2:]).Scan(&n); err != nil || n != 1 {
					t.Errorf("round %d: %s was committed and is gone, %v", round, id, err)
				}
			}
			if t.Failed() {
				return
			}
			clear(said)
			for _, table := range []string{"searches", "work", "audit"} { // the next round's ids are the same
				if _, err := raw.Exec(`DELETE FROM ` + table); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// killAfter kills a writer once it has said so many lines, and gives all that it said.
func killAfter(t *testing.T, address string, lines int) map[string]bool {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self)
	child.Env = append(os.Environ(), crashing+"="+address)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	said := map[string]bool{}
	scan := bufio.NewScanner(out)
	for scan.Scan() {
		said[scan.Text()] = true
		if len(said) == lines {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	child.Wait() // killed, as wanted
	if len(said) < lines {
		t.Fatalf("the writer said %d lines and ended", len(said))
	}
	return said
}
