package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"untether/internal/search"
	"untether/internal/store"
	"untether/internal/store/storetest"
	"untether/internal/verification"
	"untether/internal/work"
)

var (
	ctx = context.Background()
	// start is when these tests' stories begin: an instant with microseconds, as the store keeps them.
	start = time.Date(2026, 3, 4, 5, 6, 7, 891_011_000, time.UTC)
)

type tx = *store.Tx

// write fails the test when the transaction fails.
func write(t *testing.T, db *store.DB, fn func(ctx context.Context, tx tx) error) {
	t.Helper()
	if err := db.Write(ctx, fn); err != nil {
		t.Fatal(err)
	}
}

func item(subject, ref, lane string) work.Item {
	return work.Item{Key: work.Key{Subject: subject, Ref: ref, Lane: lane}, Kind: "count", Tenure: "t1", Payload: []byte{0, 1, 0xff},
		Due: start, Deadline: start.Add(time.Hour)}
}

func addWork(t *testing.T, db *store.DB, items ...work.Item) {
	t.Helper()
	write(t, db, func(ctx context.Context, tx tx) error { return tx.AddWork(ctx, items) })
}

func TestMigrations(t *testing.T) {
	storetest.EachAddress(t, func(t *testing.T, address string) {
		db, err := store.Open(ctx, address)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		addWork(t, db, item("s", "r", "l"))
		if err := db.MigrateDown(ctx); err != nil {
			t.Fatal(err)
		}
		if tables := tablesOf(t, address); len(tables) != 1 || tables[0] != "goose_db_version" {
			t.Errorf("tables left after going down: %v", tables)
		}
		for range 2 { // up again, and up when it is up
			if err := db.Migrate(ctx); err != nil {
				t.Fatal(err)
			}
		}
		addWork(t, db, item("s", "r", "l")) // no trace of the first one
	})
}

func TestMigrationsKeepWhatIsThere(t *testing.T) {
	storetest.EachAddress(t, func(t *testing.T, address string) {
		for i := range 2 {
			db, err := store.Open(ctx, address)
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				addWork(t, db, item("s", "r", "l"))
			} else if got := lease(t, db, "l", start, 10); len(got) != 1 {
				t.Errorf("%d items after opening again", len(got))
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Replicas that start together on an empty database.
func TestOpenTogether(t *testing.T) {
	storetest.EachAddress(t, func(t *testing.T, address string) {
		if !strings.HasPrefix(address, "postgres") {
			return // one process has the file to itself
		}
		var opening sync.WaitGroup
		for range 4 {
			opening.Go(func() {
				db, err := store.Open(ctx, address)
				if err != nil {
					t.Error(err)
					return
				}
				db.Close()
			})
		}
		opening.Wait()
	})
}

func TestOpenErrors(t *testing.T) {
	directory := t.TempDir()
	broken := filepath.Join(directory, "broken.db")
	if err := os.WriteFile(broken, []byte(strings.Repeat("not a database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	const secret = "hunter2"
	for name, address := range map[string]string{
		"another scheme":   "mysql://root:" + secret + "@localhost/x",
		"malformed":        "postgres://root:" + secret + "@localhost:notaport/x",
		"nobody listening": "postgres://root:" + secret + "@" + "127.0.0.1:1/x?connect_timeout=2",
		"no such folder":   filepath.Join(directory, "missing", "x.db"),
		"a folder":         directory,
		"not a database":   broken,
	} {
		db, err := store.Open(ctx, address)
		if err == nil {
			db.Close()
			t.Errorf("%s was opened", name)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error holds the password: %v", name, err)
		}
	}
}

func TestPathsOfEveryKind(t *testing.T) {
	for _, name := range []string{"with space.db", "清号.db", "100%.db", "what?.db", "a#b.db", "a&b=c.db"} {
		path := filepath.Join(t.TempDir(), name)
		db, err := store.Open(ctx, path)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		db.Close()
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s lies elsewhere: %v", name, err)
		}
	}
}

func TestNameAndPing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		if want := t.Name()[strings.LastIndex(t.Name(), "/")+1:]; db.Name() != want {
			t.Errorf("name %q, want %q", db.Name(), want)
		}
		if err := db.Ping(ctx); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		if err := db.Ping(ctx); !errors.Is(err, store.ErrClosed) {
			t.Errorf("ping of a closed database: %v", err)
		}
		if err := db.Write(ctx, func(context.Context, tx) error { return nil }); !errors.Is(err, store.ErrClosed) {
			t.Errorf("write to a closed database: %v", err)
		}
		if err := db.Close(); err != nil {
			t.Errorf("closing again: %v", err)
		}
	})
}

func TestReadChangesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		err := db.Read(ctx, func(ctx context.Context, tx tx) error { return tx.AddWork(ctx, []work.Item{item("s", "r", "l")}) })
		if err == nil {
			t.Error("a read wrote")
		}
		if got := lease(t, db, "l", start, 10); len(got) != 0 {
			t.Errorf("a read left %v", got)
		}
	})
}

// A view stays what it was while others write.
func TestReadIsConsistent(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		find := func(ctx context.Context, tx tx) bool {
			_, found, err := tx.FindSearch(ctx, "x")
			if err != nil {
				t.Error(err)
			}
			return found
		}
		err := db.Read(ctx, func(ctx context.Context, tx tx) error {
			before := find(ctx, tx)
			if err := addSearch(db, aSearch("s", "x")); err != nil {
				return err
			}
			if after := find(ctx, tx); before || after {
				t.Errorf("found %v, then %v", before, after)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		err = db.Read(ctx, func(ctx context.Context, tx tx) error {
			if !find(ctx, tx) {
				t.Error("a new view does not show the write")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestReadPanics(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		for range 20 { // more than there are connections
			if p := caught(func() { db.Read(ctx, func(context.Context, tx) error { panic("read") }) }); p != "read" {
				t.Fatalf("panic %v", p)
			}
		}
		if err := db.Ping(ctx); err != nil {
			t.Error(err)
		}
	})
}

// The rules see the store through their own interfaces.
var (
	_ search.Store       = (*store.DB)(nil)
	_ verification.Store = (*store.DB)(nil)
)

func caught(fn func()) (p any) {
	defer func() { p = recover() }()
	fn()
	return nil
}
