package store_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"untether/internal/search"
	"untether/internal/store"
	"untether/internal/store/storetest"
	"untether/internal/texts"
	"untether/internal/verification"
	"untether/internal/work"
)

func tablesOf(t *testing.T, address string) []string {
	t.Helper()
	query := `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`
	if strings.HasPrefix(address, "postgres") {
		query = `SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()`
	}
	rows, err := storetest.Dial(t, address).Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(tables)
	return tables
}

// Every table is emptied by Prune or has a written reason why not.
func TestEveryTableHasARetention(t *testing.T) {
	storetest.EachAddress(t, func(t *testing.T, address string) {
		db, err := store.Open(ctx, address)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		tables := tablesOf(t, address)
		for _, table := range tables {
			if pruned, why := store.Retention(table); pruned == (why != "") {
				t.Errorf("table %s must either be pruned (%v) or have a reason to be kept (%q)", table, pruned, why)
			}
		}
		for _, table := range store.RetentionTables() {
			if !slices.Contains(tables, table) {
				t.Errorf("%s has a retention, but there is no such table", table)
			}
		}
	})
}

func prune(t *testing.T, db *store.DB, now time.Time) store.Removed {
	t.Helper()
	removed, err := db.Prune(ctx, store.Policy{}, now)
	if err != nil {
		t.Fatal(err)
	}
	return removed
}

const day = 24 * time.Hour

func TestPruneCodes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		code := func(id string, expires time.Time) {
			write(t, db, func(ctx context.Context, tx tx) error {
				return tx.AddCode(ctx, verification.Code{Subject: "s", ID: id, Status: verification.Open, Number: []byte{1}, IssuedAt: start, ExpiresAt: expires})
			})
			addWork(t, db, item("s", id, work.Texts))
		}
		code("goes", start)
		code("stays", start.Add(time.Microsecond))
		addWork(t, db, item("s2", "goes", work.Texts)) // of another number
		if got := prune(t, db, start.Add(2*day-time.Microsecond)); got != (store.Removed{}) {
			t.Errorf("too early: %v", got)
		}
		if got := prune(t, db, start.Add(2*day)); got != (store.Removed{Codes: 1, Work: 1}) {
			t.Errorf("removed %v", got)
		}
		if got := refsIn(t, db, work.Texts); fmt.Sprint(got) != "[goes stays]" {
			t.Errorf("texts left: %v", got)
		}
	})
}

func TestPruneSearches(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		for id, status := range map[string]search.Status{"collecting": search.Collecting, "replying": search.Replying, "replied": search.Replied,
			"void": search.Void, "late": search.Replied} {
			x := aSearch("s", id)
			x.Status = status
			if id == "late" {
				x.RequestedAt = start.Add(time.Microsecond)
			}
			mustAddSearch(t, db, x)
			addWork(t, db, item("s", id, "app:qq"), item("s", id, "app:wechat"))
		}
		reply := item("s", "replying", work.Texts)
		addWork(t, db, reply)
		now := start.Add(30 * day)
		if got := prune(t, db, now.Add(-time.Microsecond)); got != (store.Removed{}) {
			t.Errorf("too early: %v", got)
		}
		if got := prune(t, db, now); got != (store.Removed{Searches: 2, Work: 4}) {
			t.Errorf("removed %v", got)
		}
		for id, want := range map[string]bool{"collecting": true, "replying": true, "replied": false, "void": false, "late": true} {
			if _, found := find(t, db, id); found != want {
				t.Errorf("%s: kept %v", id, found)
			}
		}
		finish(t, db, now, work.Result{Key: reply.Key, State: work.Failed}) // no text is owed any more
		if got := prune(t, db, now); got != (store.Removed{Searches: 1, Work: 3}) {
			t.Errorf("removed %v", got)
		}
	})
}

func TestPruneTheRest(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		raw := storetest.SQL(t, db)
		for _, at := range []time.Time{start, start.Add(time.Microsecond)} {
			err := db.Texts(ctx, func(ctx context.Context, tx texts.Tx) error {
				return tx.AddParts(ctx, []texts.Part{{CentreID: at.String(), SentAt: at}})
			})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := raw.Exec(`INSERT INTO tokens (hash, client, scopes, expires_at) VALUES ($1, 'c', '', $2)`, at.String(), at.UnixMicro()); err != nil {
				t.Fatal(err)
			}
		}
		now := start.Add(day)
		if got := prune(t, db, now.Add(-time.Microsecond)); got != (store.Removed{}) {
			t.Errorf("too early: %v", got)
		}
		if got := prune(t, db, now); got != (store.Removed{Tokens: 1}) {
			t.Errorf("removed %v", got)
		}
		if got := prune(t, db, start.Add(30*day)); got != (store.Removed{Tokens: 1, TextParts: 1}) {
			t.Errorf("removed %v", got)
		}
	})
}

// Limits are forgotten when nothing of them holds any more.
func TestPruneLimits(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		now := start.Add(2 * day)
		for subject, l := range map[string]verification.Limits{
			"free":      {Failures: 99},
			"locked":    {LockedUntil: now.Add(time.Microsecond)},
			"id locked": {IDLockedUntil: now.Add(time.Microsecond)},
			"unlocked":  {LockedUntil: now, IDLockedUntil: now},
		} {
			write(t, db, func(ctx context.Context, tx tx) error {
				if _, err := tx.LockLimits(ctx, subject, start); err != nil {
					return err
				}
				l.Subject = subject
				return tx.SaveLimits(ctx, l)
			})
		}
		write(t, db, func(ctx context.Context, tx tx) error {
			_, err := tx.LockLimits(ctx, "changed", start.Add(time.Microsecond))
			return err
		})
		if got := prune(t, db, now.Add(-time.Microsecond)); got != (store.Removed{}) {
			t.Errorf("too early: %v", got)
		}
		if got := prune(t, db, now); got != (store.Removed{Limits: 2}) {
			t.Errorf("removed %v", got)
		}
		if got := prune(t, db, now.Add(time.Microsecond)); got != (store.Removed{Limits: 3}) {
			t.Errorf("removed %v", got)
		}
	})
}

// More than one step holds, and a policy of one's own.
func TestPruneInSteps(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		const n = 1201
		write(t, db, func(ctx context.Context, tx tx) error {
			parts := make([]texts.Part, n)
			for i := range parts {
				parts[i] = texts.Part{CentreID: fmt.Sprint(i), SentAt: start}
			}
			if err := tx.AddParts(ctx, parts); err != nil {
				return err
			}
			for i := range n {
				c := verification.Code{Subject: fmt.Sprint(i), ID: fmt.Sprint(i), Status: verification.Used, Number: []byte{1}, ExpiresAt: start}
				if err := tx.AddCode(ctx, c); err != nil {
					return err
				}
			}
			return nil
		})
		got, err := db.Prune(ctx, store.Policy{Codes: time.Hour, TextParts: time.Hour}, start.Add(time.Hour))
		if err != nil || got != (store.Removed{Codes: n, TextParts: n}) {
			t.Errorf("removed %v, %v", got, err)
		}
		var entries int
		if err := storetest.SQL(t, db).QueryRow(`SELECT COUNT(*) FROM audit WHERE action = 'retention.pruned' AND actor = 'hub'`).Scan(&entries); err != nil || entries != 6 {
			t.Errorf("%d entries in the trail for 6 steps, %v", entries, err)
		}
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := db.Prune(cancelled, store.Policy{}, start); err == nil {
			t.Error("went on after the end")
		}
	})
}
