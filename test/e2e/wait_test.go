package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"untether/internal/clock"
)

// system is the machine's own time: how long a test waits does not follow the country's clock.
var system clock.System

const (
	lookEvery = 20 * time.Millisecond
	// within bounds what takes a moment on a quiet machine. No test asserts speed.
	within = time.Minute
	// leasesEnd bounds what a killed hub holds: a text that it had leased is due again after a minute.
	leasesEnd = 3 * time.Minute
)

// pause waits on the machine's clock; only here.
func pause(ctx context.Context, d time.Duration) error {
	return clock.Wait(ctx, system, system.Now().Add(d))
}

// await looks until done says yes, fails, or the time is over.
func await(ctx context.Context, what string, most time.Duration, done func() (bool, error)) error {
	until := system.Now().Add(most)
	for {
		ok, err := done()
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", what, err)
		case ok:
			return nil
		case system.Now().After(until):
			return fmt.Errorf("not within %v: %s", most, what)
		}
		if err := pause(ctx, lookEvery); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
}

// eventually is await for a test's own goroutine.
func eventually(t testing.TB, what string, done func() (bool, error)) {
	t.Helper()
	check(t, await(t.Context(), what, within, done))
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// must gives a value whose making must not fail: must(f())(t).
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		check(t, err)
		return v
	}
}
