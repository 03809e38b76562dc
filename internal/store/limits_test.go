package store_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"untether/internal/store"
	"untether/internal/store/storetest"
	"untether/internal/verification"
)

// Parallel read-modify-writes each count.
func TestLockLimits(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		const writers = 50
		var writing sync.WaitGroup
		for range writers {
			writing.Go(func() {
				err := db.Write(ctx, func(ctx context.Context, tx tx) error {
					l, err := tx.LockLimits(ctx, "s", start)
					if err != nil {
						return err
					}
					l.Failures++
					return tx.SaveLimits(ctx, l)
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		writing.Wait()
		write(t, db, func(ctx context.Context, tx tx) error {
			if l, err := tx.LockLimits(ctx, "s", start); err != nil || l.Failures != writers {
				t.Errorf("%d of %d count, %v", l.Failures, writers, err)
			}
			return nil
		})
	})
}

func TestLimitsAreKeptWhole(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		want := verification.Limits{Subject: "s", Sent: []time.Time{start.Truncate(time.Millisecond), start.Add(time.Minute).Truncate(time.Millisecond)},
			Failures: 3, LockedUntil: start.Add(time.Hour), IDTries: 2, IDLockedUntil: start.Add(2 * time.Hour)}
		write(t, db, func(ctx context.Context, tx tx) error {
			if l, err := tx.LockLimits(ctx, "s", start); err != nil || len(l.Sent) != 0 || !l.LockedUntil.IsZero() || !l.IDLockedUntil.IsZero() || l.Subject != "s" {
				t.Errorf("a new number's limits: %+v, %v", l, err)
			}
			return tx.SaveLimits(ctx, want)
		})
		write(t, db, func(ctx context.Context, tx tx) error {
			got, err := tx.LockLimits(ctx, "s", start)
			if err != nil {
				return err
			}
			if !slices.EqualFunc(got.Sent, want.Sent, time.Time.Equal) || got.Failures != 3 || got.IDTries != 2 ||
				!got.LockedUntil.Equal(want.LockedUntil) || !got.IDLockedUntil.Equal(want.IDLockedUntil) {
				t.Errorf("got %+v, want %+v", got, want)
			}
			return nil
		})
	})
}

func TestBudgets(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		rate := verification.Rate{Count: 60, Per: time.Minute, Burst: 3}
		spend := func(name string, at time.Time) (wait time.Duration) {
			write(t, db, func(ctx context.Context, tx tx) (err error) {
				wait, err = tx.SpendBudget(ctx, name, rate, at)
				return err
			})
			return wait
		}
		for i, want := range []time.Duration{0, 0, 0, time.Second, time.Second} {
			if got := spend("a", start); got != want {
				t.Errorf("spending %d: wait %v, want %v", i, got, want)
			}
		}
		if got := spend("b", start); got != 0 {
			t.Errorf("another budget waits %v", got)
		}
		if got := spend("a", start.Add(time.Second)); got != 0 {
			t.Errorf("a second later: wait %v", got)
		}
		if got := spend("a", start.Add(time.Second)); got != time.Second {
			t.Errorf("and again: wait %v", got)
		}
	})
}

// Many at once take exactly what there is.
func TestBudgetsTogether(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		rate := verification.Rate{Count: 1, Per: time.Hour, Burst: 7}
		var got atomic.Int64
		var spending sync.WaitGroup
		for range 40 {
			spending.Go(func() {
				var wait time.Duration
				err := db.Write(ctx, func(ctx context.Context, tx tx) (err error) {
					wait, err = tx.SpendBudget(ctx, "a", rate, start)
					return err
				})
				if err != nil {
					t.Error(err)
				}
				if wait == 0 {
					got.Add(1)
				}
			})
		}
		spending.Wait()
		if got.Load() != 7 {
			t.Errorf("%d got one of 7", got.Load())
		}
	})
}
