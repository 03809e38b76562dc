// Package work is durable work as one idea: an item in a lane, with a due time, a deadline, a lease and an outcome. Tasks
// for apps and texts to people are the same kind of row; whoever serves a lane takes items in batches.
//
// An item is taken by moving its due time ahead (the lease): if nobody finishes it by then, it is due again. So a crash
// loses nothing, and at worst an item is worked on twice; finishing twice counts once. Everything runs on the injected clock.
package work

import (
	"context"
	"sync"
	"time"
)

// State of an item.
type State string

// The states: only an open item is ever leased; the others are final.
const (
	Open   State = "open"
	Done   State = "done"   // the outcome says with what result
	Failed State = "failed" // given up; the outcome says why
	Void   State = "void"   // the tenure that it was about ended
)

// Key names an item: about which subject, for what (a search, a code), in which lane.
type Key struct {
	Subject string // keyed hash of the number
	Ref     string // the id of what the work is for
	Lane    string
}

// Item is one piece of work.
type Item struct {
	Key
	Kind     string
	Tenure   string    // the work is void when this tenure ends; empty: it is about none
	Payload  []byte    // sealed; only the lane's server opens it
	Due      time.Time // not before this
	Deadline time.Time // not after this
	Attempts int       // how often it was leased
	State    State
	Outcome  string // JSON, by kind
	DoneAt   time.Time
}

// Result finishes an item.
type Result struct {
	Key
	State   State
	Outcome string
}

// Tx is what the rules need of the storage, inside one transaction.
type Tx interface {
	// AddWork stores open items.
	AddWork(ctx context.Context, items []Item) error
	// LeaseWork takes up to max open items of a lane that are due by now and before their deadline, oldest first, and makes
	// them due again at until.
	LeaseWork(ctx context.Context, lane string, now, until time.Time, max int) ([]Item, error)
	// FinishWork gives open items their outcome. For each result it tells the state that the item was in: only an Open one
	// was changed, and one that does not exist has the empty state.
	FinishWork(ctx context.Context, at time.Time, results []Result) (was []State, err error)
	// PostponeWork makes open or done items open again and due at the given time.
	PostponeWork(ctx context.Context, due time.Time, keys []Key) error
}

// Lane names.
const (
	Texts     = "text" // everything that goes to the SMS centre
	appPrefix = "app:"
)

// AppLane is the lane of an app's tasks.
func AppLane(app string) string { return appPrefix + app }

// AppOf gives the app of a lane, or false for another lane.
func AppOf(lane string) (string, bool) {
	if len(lane) <= len(appPrefix) || lane[:len(appPrefix)] != appPrefix {
		return "", false
	}
	return lane[len(appPrefix):], true
}

// Bells wake those who wait for work in a lane of this process. They are only a hint: a server of a lane also looks by
// itself now and then, because another replica may have put work there. The zero value is ready.
type Bells struct {
	mu    sync.Mutex
	lanes map[string]chan struct{}
}

// Listen gives a channel that is closed at the lane's next ring. Get it before looking for work.
func (b *Bells) Listen(lane string) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lanes == nil {
		b.lanes = map[string]chan struct{}{}
	}
	c := b.lanes[lane]
	if c == nil {
		c = make(chan struct{})
		b.lanes[lane] = c
	}
	return c
}

// Ring wakes everyone who listens to the lanes.
func (b *Bells) Ring(lanes ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, lane := range lanes {
		if c := b.lanes[lane]; c != nil {
			close(c)
			delete(b.lanes, lane)
		}
	}
}

// Backoff is how long to wait before the next try: doubling from first to most with the number of attempts made.
func Backoff(attempts int, first, most time.Duration) time.Duration {
	wait := first
	for i := 1; i < attempts && wait < most; i++ {
		wait *= 2
	}
	return min(wait, most)
}
