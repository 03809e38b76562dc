// Package clock is the one time of the program. Rules and adapters take a Clock and never call time.Now, so that the
// demo's country can jump two days ahead and every deadline and retry follows.
package clock

import (
	"context"
	"sync"
	"time"
)

// Clock tells the time and wakes whoever waits for an instant.
type Clock interface {
	// Now is the present instant.
	Now() time.Time
	// At returns a channel that is closed once Now is not before t, and a function that gives the timer up. The function
	// must be called.
	At(t time.Time) (<-chan struct{}, func())
}

// Wait blocks until c reaches t, or ctx ends; then it returns ctx's error.
func Wait(ctx context.Context, c Clock, t time.Time) error {
	reached, stop := c.At(t)
	defer stop()
	select {
	case <-reached:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// System is the machine's own clock.
type System struct{}

// Now is time.Now.
func (System) Now() time.Time { return time.Now() }

// At is a timer of the machine.
func (System) At(t time.Time) (<-chan struct{}, func()) {
	reached := make(chan struct{})
	timer := time.AfterFunc(time.Until(t), func() { close(reached) })
	return reached, func() { timer.Stop() }
}

// Movable runs with the machine's clock and can be set ahead. Its zero value is ready and shows the machine's time.
type Movable struct {
	mu      sync.Mutex
	ahead   time.Duration
	waiting map[*alarm]struct{}
}

type alarm struct {
	at      time.Time
	reached chan struct{}
	timer   *time.Timer
}

// Now is the machine's time plus all that was advanced.
func (m *Movable) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Now().Add(m.ahead)
}

// Ahead is how far the clock was advanced.
func (m *Movable) Ahead() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ahead
}

// Advance sets the clock ahead by d (never back) and wakes everyone whose instant has come.
func (m *Movable) Advance(d time.Duration) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d > 0 {
		m.ahead += d
	}
	now := time.Now().Add(m.ahead)
	for a := range m.waiting {
		a.timer.Stop()
		if !a.at.After(now) {
			m.ring(a)
			continue
		}
		a.timer = time.AfterFunc(a.at.Sub(now), func() { m.fire(a) })
	}
	return now
}

// At is a timer that follows the jumps.
func (m *Movable) At(t time.Time) (<-chan struct{}, func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := &alarm{at: t, reached: make(chan struct{})}
	if m.waiting == nil {
		m.waiting = map[*alarm]struct{}{}
	}
	m.waiting[a] = struct{}{}
	a.timer = time.AfterFunc(t.Sub(time.Now().Add(m.ahead)), func() { m.fire(a) })
	return a.reached, func() { m.giveUp(a) }
}

func (m *Movable) fire(a *alarm) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ring(a)
}

func (m *Movable) ring(a *alarm) {
	if _, ok := m.waiting[a]; ok {
		delete(m.waiting, a)
		close(a.reached)
	}
}

func (m *Movable) giveUp(a *alarm) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a.timer.Stop()
	delete(m.waiting, a)
}
