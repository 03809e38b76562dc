package clock_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"untether/internal/clock"
)

// In a bubble of synctest the machine's time is the test's, and moves when everyone waits.

func reached(c <-chan struct{}) bool {
	synctest.Wait()
	select {
	case <-c:
		return true
	default:
		return false
	}
}

var clocks = map[string]func() clock.Clock{
	"system":  func() clock.Clock { return clock.System{} },
	"movable": func() clock.Clock { return &clock.Movable{} },
}

func TestWait(t *testing.T) {
	for name, make := range clocks {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := make()
				begin := c.Now()
				for _, ahead := range []time.Duration{time.Hour, 0, -time.Hour} {
					before := c.Now()
					if err := clock.Wait(t.Context(), c, before.Add(ahead)); err != nil {
						t.Error(err)
					}
					if got := c.Now().Sub(before); got != max(ahead, 0) {
						t.Errorf("waited %v for %v", got, ahead)
					}
				}
				cancelled, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Minute, cancel)
				if err := clock.Wait(cancelled, c, c.Now().Add(time.Hour)); !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				if got := c.Now().Sub(begin); got != time.Hour+time.Minute {
					t.Errorf("%v have passed", got)
				}
			})
		})
	}
}

func TestGivingUp(t *testing.T) {
	for name, make := range clocks {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := make()
				at, stop := c.At(c.Now().Add(time.Minute))
				stop()
				stop() // twice does no harm
				clock.Wait(t.Context(), c, c.Now().Add(time.Hour))
				if reached(at) {
					t.Error("a timer that was given up rang")
				}
			})
		})
	}
}

func TestAdvance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock.Movable
		begin := c.Now()
		past, stopPast := c.At(begin)
		soon, stopSoon := c.At(begin.Add(time.Hour))
		late, stopLate := c.At(begin.Add(48 * time.Hour))
		defer stopPast()
		defer stopSoon()
		defer stopLate()
		if !reached(past) || reached(soon) {
			t.Error("before the jump")
		}
		if now := c.Advance(time.Hour - 1); !now.Equal(begin.Add(time.Hour-1)) || reached(soon) {
			t.Error("a moment before")
		}
		if c.Advance(1); !reached(soon) || reached(late) {
			t.Error("at the instant")
		}
		if now := c.Advance(-time.Hour); !now.Equal(begin.Add(time.Hour)) || c.Ahead() != time.Hour {
			t.Errorf("the clock went back to %v", now)
		}
		// What is left of a wait runs with the machine's time.
		machine := time.Now()
		if <-late; time.Since(machine) != 47*time.Hour {
			t.Errorf("the rest took %v", time.Since(machine))
		}
		if got := c.Now(); !got.Equal(begin.Add(48 * time.Hour)) {
			t.Errorf("now %v", got)
		}
		if c.Advance(time.Hour); !reached(late) { // rung once, and not again
			t.Error("a rung timer was forgotten")
		}
	})
}

// Jumps while others set and give up timers.
func TestAdvanceTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock.Movable
		target := c.Now().Add(100 * time.Hour)
		woken := make(chan time.Time, 50)
		for range 50 {
			go func() {
				for range 20 {
					_, stop := c.At(target)
					stop()
				}
				if err := clock.Wait(t.Context(), &c, target); err != nil {
					t.Error(err)
				}
				woken <- c.Now()
			}()
		}
		for range 100 {
			go c.Advance(time.Hour)
		}
		for range 50 {
			if now := <-woken; now.Before(target) {
				t.Errorf("woken at %v, before %v", now, target)
			}
		}
		if c.Ahead() != 100*time.Hour {
			t.Errorf("ahead %v", c.Ahead())
		}
	})
}
