package apps

import (
	"context"
	"time"

	"untether/connector"
	"untether/internal/clock"
	"untether/internal/fault"
	"untether/internal/sandbox/caller"
)

// Behaviour is how an app's connector behaves towards the hub.
type Behaviour string

// The behaviours.
const (
	Normal  Behaviour = "normal"
	Slow    Behaviour = "slow"    // every look-up takes SlowDelay on the country's clock
	Down    Behaviour = "down"    // no connector runs
	Garbage Behaviour = "garbage" // leases work and answers nonsense
)

// SlowDelay is how long a slow app thinks about a batch.
const SlowDelay = 20 * time.Second

var errBehaviour = fault.Invalidf("behaviour must be normal, slow, down or garbage.")

// shift is one stretch of a behaviour that runs: until it is called off, and until it has ended.
type shift struct {
	callOff context.CancelFunc
	ended   chan struct{}
}

// SetBehaviour changes how the app behaves, and returns when nothing behaves as before any more.
func (a *App) SetBehaviour(b Behaviour) error {
	switch b {
	case Normal, Slow, Down, Garbage:
	default:
		return errBehaviour
	}
	a.mu.Lock()
	same, present := b == a.behaviour, a.present
	a.behaviour = b
	a.mu.Unlock()
	if !same && present != nil {
		present.callOff()
		<-present.ended
	}
	return nil
}

// Behaviour tells how the app behaves now.
func (a *App) Behaviour() Behaviour {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.behaviour
}

// serve runs what the behaviour asks for, until it is called off, and again.
func (a *App) serve(ctx context.Context, hub string, credential caller.Credential) {
	for ctx.Err() == nil {
		inner, callOff := context.WithCancel(ctx)
		a.mu.Lock()
		present, behaviour := &shift{callOff, make(chan struct{})}, a.behaviour
		a.present = present
		a.mu.Unlock()
		a.behave(inner, behaviour, hub, credential)
		callOff()
		a.mu.Lock()
		a.present = nil
		a.mu.Unlock()
		close(present.ended)
	}
}

// behave returns when ctx has ended, also where there is nothing to do.
func (a *App) behave(ctx context.Context, b Behaviour, hub string, credential caller.Credential) {
	switch b {
	case Normal:
		a.connect(ctx, a.database, hub, credential)
	case Slow:
		a.connect(ctx, slow{a.database, a.clock}, hub, credential)
	case Garbage:
		a.babble(ctx, caller.New(hub, credential, a.clock))
	}
	<-ctx.Done()
}

func (a *App) connect(ctx context.Context, d connector.Database, hub string, credential caller.Credential) {
	c, err := connector.New(connector.Options{Hub: hub, ClientID: credential.ID, ClientSecret: credential.Secret, Database: d,
		Grace: time.Second, Clock: a.clock, Log: a.log})
	if err != nil {
		a.log.Error("the connector does not start", "error", err)
		return
	}
	if err := c.Run(ctx); err != nil {
		a.log.Error("the connector ended", "error", err)
	}
}

// slow is a database that thinks long.
type slow struct {
	*database
	clock clock.Clock
}

// Bindings answers after SlowDelay.
func (s slow) Bindings(ctx context.Context, phoneNumbers []string) ([]connector.Binding, error) {
	if err := clock.Wait(ctx, s.clock, s.clock.Now().Add(SlowDelay)); err != nil {
		return nil, err
	}
	return s.database.Bindings(ctx, phoneNumbers)
}

const babblePause = time.Second

type nonsense struct {
	ID       string `json:"id"`
	Outcome  string `json:"outcome"`
	Accounts int64  `json:"accounts"`
	Left     int64  `json:"left"`
	Undated  int64  `json:"undated"`
}

// babble leases work as a connector does and answers what cannot be: fewer accounts than none, more than there are people.
func (a *App) babble(ctx context.Context, hub *caller.Caller) {
	defer hub.Close()
	for ctx.Err() == nil {
		var work struct {
			Tasks []struct {
				ID string `json:"id"`
			} `json:"tasks"`
		}
		err := hub.Post(ctx, "/app/v1/tasks/lease", map[string]int{"max": 100, "waitSeconds": 20}, &work)
		results := make([]nonsense, len(work.Tasks))
		for i, t := range work.Tasks {
			results[i] = nonsense{t.ID, "count", -3, 99_999_999, -1}
			if i%2 == 1 {
				results[i] = nonsense{t.ID, "count", 8_000_000_000, 0, 0}
			}
		}
		if err == nil && len(results) > 0 {
			err = hub.Post(ctx, "/app/v1/tasks/results", map[string]any{"results": results}, nil)
		}
		if err != nil || len(results) == 0 {
			_ = clock.Wait(ctx, a.clock, a.clock.Now().Add(babblePause))
		}
	}
}
