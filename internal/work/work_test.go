package work_test

import (
	"math"
	"sync"
	"testing"
	"time"

	"untether/internal/work"
)

func TestBackoff(t *testing.T) {
	const first, most = 2 * time.Second, 5 * time.Minute
	for _, test := range []struct {
		attempts int
		want     time.Duration
	}{{-1, first}, {0, first}, {1, first}, {2, 4 * time.Second}, {3, 8 * time.Second}, {8, 256 * time.Second}, {9, most}, {10, most}, {math.MaxInt, most}} {
		if got := work.Backoff(test.attempts, first, most); got != test.want {
			t.Errorf("after %d attempts: %v, want %v", test.attempts, got, test.want)
		}
	}
	if got := work.Backoff(1, time.Hour, time.Minute); got != time.Minute {
		t.Errorf("the first wait is longer than the longest: %v", got)
	}
}

func TestAppLanes(t *testing.T) {
	if app, ok := work.AppOf(work.AppLane("wechat")); app != "wechat" || !ok {
		t.Errorf("%q, %v", app, ok)
	}
	for _, lane := range []string{"", "app:", "app", work.Texts, "xapp:wechat"} {
		if app, ok := work.AppOf(lane); ok {
			t.Errorf("%q is the lane of %q", lane, app)
		}
	}
}

func rung(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestBells(t *testing.T) {
	var b work.Bells
	b.Ring("a") // nobody listens
	first, second, other := b.Listen("a"), b.Listen("a"), b.Listen("b")
	if rung(first) {
		t.Error("a ring from before was heard")
	}
	b.Ring("a", "a", "c")
	if !rung(first) || !rung(second) || rung(other) {
		t.Error("a ring must wake everyone in its lane and nobody else")
	}
	again := b.Listen("a")
	if rung(again) {
		t.Error("a bell rings once")
	}
	b.Ring("b", "a")
	if !rung(again) || !rung(other) {
		t.Error("a ring must wake both lanes")
	}
}

// Whoever listens before looking misses nothing.
func TestBellsTogether(t *testing.T) {
	var b work.Bells
	var mu sync.Mutex
	items, over := 0, false
	const n = 1000
	var ringing, listening sync.WaitGroup
	taken := make(chan int, n)
	for range 4 {
		listening.Go(func() {
			for {
				bell := b.Listen("l")
				mu.Lock()
				took, end := items, over
				items = 0
				mu.Unlock()
				if end {
					return
				}
				if took > 0 {
					taken <- took
					continue
				}
				<-bell
			}
		})
	}
	for range n {
		ringing.Go(func() {
			mu.Lock()
			items++
			mu.Unlock()
			b.Ring("l")
		})
	}
	ringing.Wait()
	for total := 0; total < n; {
		total += <-taken
	}
	mu.Lock()
	over = true
	mu.Unlock()
	b.Ring("l")
	listening.Wait()
}
