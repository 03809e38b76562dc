package verification_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"untether/internal/fault"
	"untether/internal/verification"
	"untether/internal/words"
)

// Parallel guesses: each is counted, and after the fifth not even the right one is taken.
func TestParallelGuesses(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		id, digits := d.issue()
		var guessing sync.WaitGroup
		for range 30 {
			guessing.Go(func() {
				if _, err := d.try(id, wrong(digits)); !fault.Is(err, refused) {
					t.Error(err)
				}
			})
		}
		guessing.Wait()
		err := d.db.Verification(ctx, func(ctx context.Context, tx verification.Tx) error {
			c, _, err := tx.FindCode(ctx, id)
			if c.Tries != 30 || c.Status != verification.Spent {
				t.Errorf("%d tries, %s", c.Tries, c.Status)
			}
			l, err2 := tx.LockLimits(ctx, d.Keys.Subject(number), d.clock.Now())
			if l.Failures != 30 {
				t.Errorf("%d failures", l.Failures)
			}
			return errors.Join(err, err2)
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// Parallel identity tries with the right code: three get through.
func TestParallelIdentityTries(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		id, digits := d.issue()
		var through atomic.Int64
		var trying sync.WaitGroup
		for range 20 {
			trying.Go(func() {
				switch _, err := d.try(id, digits); {
				case err == nil:
					through.Add(1)
				case !fault.Is(err, idLocked):
					t.Error(err)
				}
			})
		}
		trying.Wait()
		if through.Load() != 3 {
			t.Errorf("%d identity tries got through", through.Load())
		}
	})
}

// Parallel requests for a code: one is sent.
func TestParallelRequests(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		var sent atomic.Int64
		var asking sync.WaitGroup
		for range 20 {
			asking.Go(func() {
				switch _, err := d.Issue(ctx, portal, number, words.ZhCN, ""); {
				case err == nil:
					sent.Add(1)
				case !fault.Is(err, tooMany) || fault.Of(err).RetryAfter != time.Minute:
					t.Error(err)
				}
			})
		}
		asking.Wait()
		if sent.Load() != 1 {
			t.Errorf("%d codes were sent", sent.Load())
		}
	})
}
