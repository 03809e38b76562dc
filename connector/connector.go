// Package connector is an app's side of the app protocol: it leases tasks from a hub, looks the numbers up in the app's
// own database with one query for a whole batch, and answers with counts. The app opens no port.
//
// It guarantees that nothing is lost: while the hub or the database is away it tries again with growing, random pauses,
// and a task that it could not answer is offered again by the hub when its lease runs out. It never guesses: a number
// whose rows cannot be read is left unanswered and reported, not counted as nothing. It never writes to the app's
// database and never logs a whole phone number.
//
// It does not promise that a result is sent only once (the hub counts a result sent twice once), nor that it answers
// before a task's deadline.
//
// `untether connect` is this package with a file, see [LoadConfig]; a Go program that has its own way to its accounts
// implements [Database] and calls [New] and [Connector.Run].
package connector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"untether/internal/clock"
)

// Limits and defaults of a connector.
const (
	BatchMax       = 1000             // tasks in one lease; what the hub gives at most
	ConcurrencyMax = 16               // leases in flight
	WaitDefault    = 20 * time.Second // how long the hub may hold a lease request open
	WaitMax        = 60 * time.Second
	GraceDefault   = 5 * time.Second

	concurrencyDefault          = 2
	bindingsPerNumberMaxDefault = 1000
	leaseLifeDefault            = 5 * time.Minute
	unknownKindsMax             = 100 // kinds remembered so that each is logged once
)

// Options says what a connector works with. Hub, ClientID, ClientSecret and Database are required; everything else has
// a default.
type Options struct {
	Hub          string // the hub's base address, https://… (http:// to a loopback address only)
	ClientID     string
	ClientSecret string
	Database     Database

	Batch       int           // tasks in one lease and numbers in one query; default and most: BatchMax
	Concurrency int           // leases in flight; default 2, most ConcurrencyMax
	Wait        time.Duration // how long the hub may wait for work; default WaitDefault, most WaitMax
	LeaseLife   time.Duration // how long a leased batch is tried before it is left to the hub to offer again; default 5 minutes
	Grace       time.Duration // how long a batch in hand may take to be answered once Run is told to stop; default 5 seconds
	// MaxBindingsPerNumber is a guard against a query that joins wrongly: a number with more bindings is left unanswered
	// and reported. Default 1,000.
	MaxBindingsPerNumber int

	HTTPClient *http.Client // default: one of its own; redirects are never followed
	Clock      clock.Clock  // default: the machine's
	Log        *slog.Logger // default: slog.Default()
}

// Connector serves one app. Make it with New; one Run at a time.
type Connector struct {
	hub      *hub
	database Database
	options  Options
	clock    clock.Clock
	log      *slog.Logger
	tally    tally

	mu      sync.Mutex
	unknown map[string]bool // kinds already logged
}

// New checks the options and makes a connector; it opens nothing. An error says which option is wrong and what to do.
func New(o Options) (*Connector, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	h, err := newHub(o.Hub, o.ClientID, o.ClientSecret, o.HTTPClient, o.Clock)
	if err != nil {
		return nil, err
	}
	return &Connector{hub: h, database: o.Database, options: o, clock: o.Clock, log: o.Log, unknown: map[string]bool{}}, nil
}

func (o Options) complete() (Options, error) {
	if o.Database == nil {
		return o, errors.New("connector: Options.Database is missing")
	}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o, errors.Join(
		within("Batch", &o.Batch, BatchMax, BatchMax),
		within("Concurrency", &o.Concurrency, concurrencyDefault, ConcurrencyMax),
		within("Wait", &o.Wait, WaitDefault, WaitMax),
		within("LeaseLife", &o.LeaseLife, leaseLifeDefault, 24*time.Hour),
		within("Grace", &o.Grace, GraceDefault, time.Minute),
		within("MaxBindingsPerNumber", &o.MaxBindingsPerNumber, bindingsPerNumberMaxDefault, 1_000_000),
	)
}

// within gives a zero value its default and refuses what is out of 1..most.
func within[T int | time.Duration](name string, value *T, preset, most T) error {
	if *value == 0 {
		*value = preset
	}
	if *value < 0 || *value > most {
		return fmt.Errorf("connector: Options.%s must be more than 0 and at most %v", name, most)
	}
	return nil
}

// Run leases, looks up and answers until ctx ends. Then it takes no more work, answers the batches in hand (for Grace at
// most) and returns nil: being told to stop is no failure. A lost hub or database does not end it.
func (c *Connector) Run(ctx context.Context) error {
	finish, done := c.grace(ctx)
	defer done()
	var lanes sync.WaitGroup
	for range c.options.Concurrency {
		lanes.Go(func() { c.serve(ctx, finish) })
	}
	lanes.Wait()
	return nil
}

// grace gives a context that outlives ctx by Options.Grace.
func (c *Connector) grace(ctx context.Context) (context.Context, func()) {
	finish, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var watcher sync.WaitGroup
	watcher.Go(func() {
		select {
		case <-finish.Done():
		case <-ctx.Done():
			_ = clock.Wait(finish, c.clock, c.clock.Now().Add(c.options.Grace))
			cancel()
		}
	})
	return finish, func() { cancel(); watcher.Wait() }
}

// serve is one lane: lease, work, again.
func (c *Connector) serve(ctx, finish context.Context) {
	var failures, idle pauses
	for ctx.Err() == nil {
		asked := c.clock.Now()
		tasks, err := c.hub.lease(ctx, c.options.Batch, c.options.Wait)
		switch {
		case ctx.Err() != nil && err != nil:
			return
		case err != nil:
			c.tally.hubFailures.Add(1)
			pause := failures.next(err)
			c.log.WarnContext(ctx, "the hub gave no work; trying again", "error", concealed(err), "pause", pause)
			_ = clock.Wait(ctx, c.clock, c.clock.Now().Add(pause))
		case len(tasks) == 0:
			failures.reset()
			c.rest(ctx, &idle, asked)
		default:
			failures.reset()
			idle.reset()
			c.tally.leased.Add(uint64(len(tasks)))
			c.work(finish, tasks)
		}
	}
}

// rest keeps a hub that answers "nothing" at once, instead of holding the request, from being asked in a tight loop. A
// few quick empty answers are normal: another lane was faster.
func (c *Connector) rest(ctx context.Context, idle *pauses, asked time.Time) {
	const quickAnswersFree = 3
	if c.clock.Now().Sub(asked) >= time.Second {
		idle.reset()
		return
	}
	pause := idle.next(nil)
	if idle.count > quickAnswersFree {
		_ = clock.Wait(ctx, c.clock, c.clock.Now().Add(pause))
	}
}
