package store_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"untether/internal/access"
	"untether/internal/registry"
	"untether/internal/search"
	"untether/internal/store"
	"untether/internal/store/storetest"
	"untether/internal/tenure"
	"untether/internal/verification"
	"untether/internal/work"
)

func TestLives(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		want := registry.Life{Subject: "b", Life: tenure.Life{State: tenure.Frozen, Suspended: true, Carrier: "mobile",
			Tenure: tenure.Tenure{ID: "t2", Start: start}, Since: start.Add(time.Hour)}, Ended: []string{"t0", "t1"}}
		write(t, db, func(ctx context.Context, tx tx) error {
			lives, err := tx.LockLives(ctx, []string{"a", "b"})
			if err != nil {
				return err
			}
			if len(lives) != 2 || lives[0].Subject != "a" || lives[1].State != tenure.Unknown || len(lives[1].Ended) != 0 || !lives[1].Since.IsZero() {
				t.Errorf("new lives: %+v", lives)
			}
			return tx.SaveLives(ctx, []registry.Life{want})
		})
		write(t, db, func(ctx context.Context, tx tx) error {
			lives, err := tx.LockLives(ctx, []string{"b"})
			if err != nil {
				return err
			}
			got := lives[0]
			if got.State != want.State || !got.Suspended || got.Carrier != "mobile" || got.Tenure.ID != "t2" || !got.Tenure.Start.Equal(start) ||
				!got.Since.Equal(want.Since) || !slices.Equal(got.Ended, want.Ended) {
				t.Errorf("got %+v", got)
			}
			_, found, err := tx.FindLife(ctx, "c")
			if found {
				t.Error("a life that is not there was found")
			}
			return err
		})
	})
}

func TestLockLivesTogether(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		var writing sync.WaitGroup
		for i := range 20 {
			writing.Go(func() {
				err := db.Write(ctx, func(ctx context.Context, tx tx) error {
					lives, err := tx.LockLives(ctx, []string{"a", "b"})
					if err != nil {
						return err
					}
					for j := range lives {
						lives[j].Ended = append(lives[j].Ended, fmt.Sprint(i))
					}
					return tx.SaveLives(ctx, lives)
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		writing.Wait()
		write(t, db, func(ctx context.Context, tx tx) error {
			l, _, err := tx.FindLife(ctx, "b")
			if len(l.Ended) != 20 {
				t.Errorf("%d of 20 count", len(l.Ended))
			}
			return err
		})
	})
}

func TestNumberEvents(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		event := func(sequence int64, subject string, at time.Duration) registry.Event {
			return registry.Event{Subject: subject, Event: tenure.Event{Carrier: "mobile", Sequence: sequence, Type: tenure.Activated,
				At: start.Add(at), TenureID: "t1", Receiving: "unicom"}}
		}
		late, early := event(1, "a", time.Hour), event(2, "a", 0)
		write(t, db, func(ctx context.Context, tx tx) error {
			fresh, err := tx.AddEvents(ctx, []registry.Event{late, early, event(3, "b", 0), late})
			if fmt.Sprint(fresh) != "[true true true false]" {
				t.Errorf("fresh %v", fresh)
			}
			return err
		})
		early.Aside = "does not fit"
		write(t, db, func(ctx context.Context, tx tx) error {
			if fresh, err := tx.AddEvents(ctx, []registry.Event{early}); err != nil || fresh[0] {
				t.Errorf("fresh %v, %v", fresh, err)
			}
			return tx.SaveAsides(ctx, []registry.Event{early})
		})
		write(t, db, func(ctx context.Context, tx tx) error {
			events, err := tx.EventsOf(ctx, []string{"c", "a", "b"})
			if err != nil {
				return err
			}
			if len(events) != 3 || len(events[0]) != 0 || len(events[1]) != 2 || len(events[2]) != 1 {
				t.Fatalf("events %+v", events)
			}
			got := events[1][0] // the earlier instant first
			if got.Sequence != 2 || got.Carrier != "mobile" || got.Type != tenure.Activated || !got.At.Equal(start) || got.TenureID != "t1" ||
				got.Receiving != "unicom" || got.Aside != "does not fit" || got.Subject != "a" {
				t.Errorf("got %+v", got)
			}
			return nil
		})
	})
}

func TestMarksNeverMoveBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		for _, at := range []time.Duration{time.Hour, 0, 30 * time.Minute} {
			write(t, db, func(ctx context.Context, tx tx) error { return tx.MoveMark(ctx, "mobile", start.Add(at)) })
		}
		var asOf int64
		if err := storetest.SQL(t, db).QueryRow(`SELECT as_of FROM carrier_marks`).Scan(&asOf); err != nil || asOf != start.Add(time.Hour).UnixMicro() {
			t.Errorf("as of %d, %v", asOf, err)
		}
	})
}

func TestEndTenure(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		at := start.Add(time.Minute)
		for id, status := range map[string]search.Status{"collecting": search.Collecting, "replying": search.Replying, "replied": search.Replied} {
			x := aSearch("s", id)
			x.Status = status
			mustAddSearch(t, db, x)
		}
		other := aSearch("s", "next tenure")
		other.Tenure = "t2"
		mustAddSearch(t, db, other, aSearch("s2", "another number"))
		next := item("s", "next tenure", "app:qq")
		next.Tenure = "t2"
		done := item("s", "done", "app:qq")
		addWork(t, db, item("s", "collecting", "app:qq"), next, done, item("s2", "another number", "app:qq"))
		finish(t, db, start, work.Result{Key: done.Key, State: work.Done})
		handed := item("s", "replied", work.Texts)
		addWork(t, db, handed)
		finish(t, db, start, work.Result{Key: handed.Key, State: work.Done})
		for id, issued := range map[string]time.Time{"before": start, "after": at.Add(time.Microsecond)} {
			write(t, db, func(ctx context.Context, tx tx) error {
				return tx.AddCode(ctx, verification.Code{Subject: "s", ID: id, Status: verification.Open, Number: []byte{1}, IssuedAt: issued})
			})
			it := item("s", id, work.Texts)
			it.Tenure = ""
			addWork(t, db, it)
		}
		write(t, db, func(ctx context.Context, tx tx) error {
			if _, err := tx.LockLimits(ctx, "s", start); err != nil {
				return err
			}
			return tx.SaveLimits(ctx, verification.Limits{Subject: "s", Failures: 7, IDTries: 2, IDLockedUntil: at.Add(time.Hour)})
		})
		write(t, db, func(ctx context.Context, tx tx) error {
			n, err := tx.EndTenure(ctx, "s", "t1", at)
			if n != 2 {
				t.Errorf("%d searches were open", n)
			}
			return err
		})
		for id, want := range map[string]search.Status{"collecting": search.Void, "replying": search.Void, "replied": search.Replied,
			"next tenure": search.Collecting, "another number": search.Collecting} {
			if x, _ := find(t, db, id); x.Status != want {
				t.Errorf("search %s is %s, want %s", id, x.Status, want)
			}
		}
		write(t, db, func(ctx context.Context, tx tx) error { // as after a receipt that says undelivered
			return tx.PostponeWork(ctx, at, []work.Key{handed.Key})
		})
		for ref, want := range map[string]string{"collecting": "void", "replied": "void", "next tenure": "open", "done": "done", "another number": "open", "before": "void", "after": "open"} {
			var state string
			if err := storetest.SQL(t, db).QueryRow(`SELECT state FROM work WHERE ref = $1`, ref).Scan(&state); err != nil || state != want {
				t.Errorf("work of %s is %s, want %s, %v", ref, state, want, err)
			}
		}
		write(t, db, func(ctx context.Context, tx tx) error {
			for id, want := range map[string]verification.Status{"before": verification.Void, "after": verification.Open} {
				if c, _, err := tx.FindCode(ctx, id); err != nil || c.Status != want {
					t.Errorf("code %s is %s, %v", id, c.Status, err)
				}
			}
			l, err := tx.LockLimits(ctx, "s", at)
			if l.Failures != 7 || l.IDTries != 0 || !l.IDLockedUntil.IsZero() {
				t.Errorf("limits %+v: the next holder begins anew with identities, not with codes", l)
			}
			return err
		})
	})
}

// A tenure that ends while a search of it is being stored: the end waits for the search and makes it void.
func TestEndTenureSeesASearchThatIsBeingStored(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		write(t, db, func(ctx context.Context, tx tx) error { _, err := tx.LockLimits(ctx, "s", start); return err })
		stored, ended := make(chan struct{}), make(chan error, 1)
		var once sync.Once
		err := db.Write(ctx, func(ctx context.Context, tx tx) error {
			if _, err := tx.LockLimits(ctx, "s", start); err != nil {
				return err
			}
			if err := tx.AddSearch(ctx, aSearch("s", "x")); err != nil {
				return err
			}
			once.Do(func() {
				go func() {
					close(stored)
					ended <- db.Write(context.Background(), func(ctx context.Context, tx *store.Tx) error {
						_, err := tx.EndTenure(ctx, "s", "t1", start)
						return err
					})
				}()
			})
			<-stored
			if db.Name() == "postgres" {
				return waitForALock(t, db)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if x, _ := find(t, db, "x"); x.Status != search.Void {
			t.Errorf("the search is %s", x.Status)
		}
	})
}

// waitForALock returns when a transaction of this database waits for another's lock on a row.
func waitForALock(t *testing.T, db *store.DB) error {
	raw := storetest.SQL(t, db)
	for range 100_000 {
		var waiting int
		err := raw.QueryRow(`SELECT COUNT(*) FROM pg_locks l JOIN pg_locks h ON h.pid = l.pid JOIN pg_class c ON c.oid = h.relation
			WHERE NOT l.granted AND l.locktype = 'transactionid' AND c.relname = 'number_limits' AND c.relnamespace = current_schema()::regnamespace`).Scan(&waiting)
		if err != nil || waiting > 0 {
			return err
		}
	}
	t.Error("nobody waits for the search that is being stored")
	return nil
}

func TestTokens(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		want := access.Token{Hash: "h", Client: "c", Scopes: []string{"channel", "app"}, ExpiresAt: start}
		write(t, db, func(ctx context.Context, tx tx) error { return tx.AddToken(ctx, want) })
		write(t, db, func(ctx context.Context, tx tx) error {
			got, found, err := tx.FindToken(ctx, "h")
			if !found || got.Hash != "h" || got.Client != "c" || !slices.Equal(got.Scopes, want.Scopes) || !got.ExpiresAt.Equal(start) {
				t.Errorf("got %+v, %v", got, found)
			}
			if _, found, _ := tx.FindToken(ctx, "H"); found {
				t.Error("a token that is not there was found")
			}
			return err
		})
	})
}
