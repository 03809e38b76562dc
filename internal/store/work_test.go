package store_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"untether/internal/store"
	"untether/internal/store/storetest"
	"untether/internal/work"
)

const leaseFor = time.Minute

func lease(t *testing.T, db *store.DB, lane string, now time.Time, max int) (items []work.Item) {
	t.Helper()
	write(t, db, func(ctx context.Context, tx tx) (err error) {
		items, err = tx.LeaseWork(ctx, lane, now, now.Add(leaseFor), max)
		return err
	})
	return items
}

func finish(t *testing.T, db *store.DB, at time.Time, results ...work.Result) (was []work.State) {
	t.Helper()
	write(t, db, func(ctx context.Context, tx tx) (err error) {
		was, err = tx.FinishWork(ctx, at, results)
		return err
	})
	return was
}

func TestLeaseGivesWhatWasAdded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		want := item("s", "r", "app:x")
		bare := work.Item{Key: work.Key{Subject: "s", Ref: "bare", Lane: "bare"}, Kind: "k", Due: start, Deadline: start.Add(time.Hour)}
		addWork(t, db, want, bare)
		got := lease(t, db, "app:x", start, 10)
		if len(got) != 1 {
			t.Fatalf("%d items", len(got))
		}
		g := got[0]
		if g.Key != want.Key || g.Kind != want.Kind || g.Tenure != want.Tenure || !bytes.Equal(g.Payload, want.Payload) || g.Attempts != 1 ||
			g.State != work.Open || g.Outcome != "" || !g.DoneAt.IsZero() || !g.Due.Equal(start.Add(leaseFor)) || !g.Deadline.Equal(want.Deadline) {
			t.Errorf("got %+v", g)
		}
		if got := lease(t, db, "bare", start, 10); len(got) != 1 || got[0].Payload != nil || got[0].Tenure != "" {
			t.Errorf("got %+v", got)
		}
	})
}

func TestLeaseBoundaries(t *testing.T) {
	tests := map[string]struct {
		due, deadline, now time.Duration
		want               int
	}{
		"before it is due":         {time.Second, time.Hour, time.Second - time.Microsecond, 0},
		"when it is due":           {time.Second, time.Hour, time.Second, 1},
		"just before its deadline": {0, time.Hour, time.Hour - time.Microsecond, 1},
		"at its deadline":          {0, time.Hour, time.Hour, 0},
		"after its deadline":       {0, time.Hour, 2 * time.Hour, 0},
	}
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		for name, test := range tests {
			it := item("s", "r", name)
			it.Due, it.Deadline = start.Add(test.due), start.Add(test.deadline)
			addWork(t, db, it)
			if got := lease(t, db, name, start.Add(test.now), 10); len(got) != test.want {
				t.Errorf("%s: %d items", name, len(got))
			}
		}
	})
}

func TestLeaseRunsOut(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		addWork(t, db, item("s", "r", "l"))
		for attempt := 1; attempt <= 3; attempt++ {
			now := start.Add(time.Duration(attempt-1) * leaseFor)
			if got := lease(t, db, "l", now, 10); len(got) != 1 || got[0].Attempts != attempt {
				t.Fatalf("attempt %d: %+v", attempt, got)
			}
			if got := lease(t, db, "l", now.Add(leaseFor-time.Microsecond), 10); len(got) != 0 {
				t.Fatalf("given again before the lease ran out: %+v", got)
			}
		}
	})
}

func TestLeaseTakesTheOldestUpToTheMost(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		for i := range 10 {
			it := item("s", fmt.Sprint((i*7)%10), "l") // not in the order of their keys
			it.Due = start.Add(time.Duration((i*7)%10) * time.Second)
			addWork(t, db, it)
		}
		addWork(t, db, item("s", "r", "another"))
		now := start.Add(time.Minute)
		for from := 0; from < 10; from += 4 {
			got := lease(t, db, "l", now, 4)
			if len(got) != min(4, 10-from) {
				t.Fatalf("%d items from %d", len(got), from)
			}
			for _, g := range got {
				if g.Ref < fmt.Sprint(from) || g.Ref > fmt.Sprint(min(from+3, 9)) {
					t.Errorf("ref %s came among those from %d", g.Ref, from)
				}
			}
		}
	})
}

// Many servers of one lane take every item once, none twice.
func TestLeasesTogether(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		const n, servers = 300, 8
		items := make([]work.Item, n)
		for i := range items {
			items[i] = item(fmt.Sprintf("s%d", i%7), fmt.Sprint(i), "l")
		}
		addWork(t, db, items...)
		var mu sync.Mutex
		taken := map[work.Key]int{}
		var serving sync.WaitGroup
		for range servers {
			serving.Go(func() {
				for {
					var got []work.Item
					err := db.Write(ctx, func(ctx context.Context, tx tx) (err error) {
						got, err = tx.LeaseWork(ctx, "l", start, start.Add(leaseFor), 7)
						return err
					})
					if err != nil {
						t.Error(err)
					}
					if len(got) > 7 {
						t.Errorf("%d items, at most 7 were asked for", len(got))
					}
					if len(got) == 0 {
						return
					}
					mu.Lock()
					for _, it := range got {
						taken[it.Key]++
					}
					mu.Unlock()
				}
			})
		}
		serving.Wait()
		// With SKIP LOCKED a server may find nothing while another holds the last ones, never the same ones.
		for _, it := range lease(t, db, "l", start, n) {
			taken[it.Key]++
		}
		for key, times := range taken {
			if times != 1 {
				t.Errorf("%v was taken %d times", key, times)
			}
		}
		if len(taken) != n {
			t.Errorf("%d of %d were taken", len(taken), n)
		}
	})
}

func TestFinishingTwiceCountsOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		addWork(t, db, item("s", "a", "l"), item("s", "b", "l"), item("s", "c", "l"))
		result := func(ref string, state work.State, outcome string) work.Result {
			return work.Result{Key: work.Key{Subject: "s", Ref: ref, Lane: "l"}, State: state, Outcome: outcome}
		}
		got := finish(t, db, start, result("a", work.Done, "first"), result("missing", work.Done, "x"), result("b", work.Failed, "b"), result("a", work.Failed, "second"))
		if fmt.Sprint(got) != "[open  open done]" {
			t.Errorf("was: %v", got)
		}
		if got := finish(t, db, start.Add(time.Hour), result("a", work.Void, "third")); got[0] != work.Done {
			t.Error("finished again")
		}
		if got := finish(t, db, start); len(got) != 0 {
			t.Errorf("nothing gives %v", got)
		}
		var state, outcome string
		var done int64
		if err := storetest.SQL(t, db).QueryRow(`SELECT state, outcome, done_at FROM work WHERE ref = 'a'`).Scan(&state, &outcome, &done); err != nil ||
			state != "done" || outcome != "first" || done != start.UnixMicro() {
			t.Errorf("%s %s %d, %v", state, outcome, done, err)
		}
		if got := lease(t, db, "l", start, 10); len(got) != 1 || got[0].Ref != "c" {
			t.Errorf("left to lease: %+v", got)
		}
	})
}

// Parallel answers to one item: one of them counts.
func TestFinishingTogether(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		addWork(t, db, item("s", "r", "l"))
		var mu sync.Mutex
		wins := 0
		var finishing sync.WaitGroup
		for i := range 12 {
			finishing.Go(func() {
				var was []work.State
				err := db.Write(ctx, func(ctx context.Context, tx tx) (err error) {
					was, err = tx.FinishWork(ctx, start, []work.Result{{Key: item("s", "r", "l").Key, State: work.Done, Outcome: fmt.Sprint(i)}})
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if was[0] == work.Open {
					wins++
				}
			})
		}
		finishing.Wait()
		if wins != 1 {
			t.Errorf("%d answers counted", wins)
		}
	})
}

func TestPostpone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		keys := make([]work.Key, 0, 4)
		for _, state := range []work.State{work.Open, work.Done, work.Failed, work.Void} {
			it := item("s", string(state), "l")
			addWork(t, db, it)
			keys = append(keys, it.Key)
			if state != work.Open {
				finish(t, db, start, work.Result{Key: it.Key, State: state})
			}
		}
		due := start.Add(time.Second)
		write(t, db, func(ctx context.Context, tx tx) error { return tx.PostponeWork(ctx, due, keys) })
		if got := lease(t, db, "l", due.Add(-time.Microsecond), 10); len(got) != 0 {
			t.Errorf("due too early: %+v", got)
		}
		got := lease(t, db, "l", due, 10)
		if len(got) != 2 {
			t.Fatalf("due: %+v", got)
		}
		for _, it := range got {
			if it.Ref != "open" && it.Ref != "done" {
				t.Errorf("%s came back", it.Ref)
			}
		}
	})
}
