// Package carriers is the stand-ins for the country's four mobile networks. Each keeps its own subscriber book, answers
// POST /identity-matches on its own loopback port, and reports every event of its numbers to the hub, in order, until the
// hub has accepted it.
//
// They guarantee that they do only what a carrier would (a frozen number is not sold, a freeze is not cut short) and
// nothing unasked. They keep everything in memory; whoever wants an act to outlive the process repeats it with Replay.
// Answers hold whole numbers and compare whole identities: all of them are made up.
package carriers

import (
	"cmp"
	"context"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"untether/internal/clock"
	"untether/internal/phone"
	"untether/internal/sandbox/caller"
	"untether/internal/sandbox/people"
	"untether/internal/tenure"
)

// Options says what the networks are made of.
type Options struct {
	Country *people.Country
	Clock   clock.Clock
	Log     *slog.Logger
	Secret  func(carrier string) string // what the hub must show as Bearer to the carrier's identity service
}

// Carriers is all networks of the country. One lock holds their books, because a ported number moves from one to another
// in one step.
type Carriers struct {
	clock clock.Clock
	log   *slog.Logger
	all   []*Carrier

	mu      sync.Mutex
	records map[phone.Number]*record
	order   []phone.Number // of records, as made
	people  []people.Person
	tenures int
}

// Carrier is one network.
type Carrier struct {
	people.Carrier
	network *Carriers
	secret  []byte
	server  *http.Server
	address string
	stopped chan struct{} // closed when the server has ended

	// Guarded by network.mu.
	down    bool
	events  []entry       // all that it ever reported or has to report, by sequence
	changed chan struct{} // holds one when there is something to report
}

// entry is one event of one number in a carrier's log.
type entry struct {
	number phone.Number
	event  tenure.Event
}

// record is what the networks know of one number.
type record struct {
	block        *Carrier
	life         tenure.Life
	holders      map[string]people.Person
	simChangedAt time.Time
}

// Open fills the books and starts the identity services.
func Open(o Options) (*Carriers, error) {
	n := &Carriers{clock: o.Clock, log: o.Log, records: map[phone.Number]*record{}, people: o.Country.People}
	for _, c := range people.Carriers {
		n.all = append(n.all, &Carrier{Carrier: c, network: n, secret: []byte(o.Secret(c.ID)), changed: make(chan struct{}, 1)})
	}
	for _, line := range o.Country.Lines {
		n.enter(line, o.Country.People)
	}
	for _, c := range n.all {
		slices.SortFunc(c.events, func(a, b entry) int { return cmp.Compare(a.event.Sequence, b.event.Sequence) })
		if err := c.listen(); err != nil {
			n.Close()
			return nil, err
		}
	}
	return n, nil
}

func (n *Carriers) enter(line people.Line, all []people.Person) {
	r := &record{block: n.carrier(line.Block), life: line.Life(), holders: map[string]people.Person{}, simChangedAt: line.SIMChangedAt}
	for id, i := range line.Holders {
		r.holders[id] = all[i]
	}
	n.records[line.Number] = r
	n.order = append(n.order, line.Number)
	n.tenures += len(line.Holders)
	for _, e := range line.Events {
		reporter := n.carrier(e.Carrier)
		reporter.events = append(reporter.events, entry{line.Number, e})
	}
}

func (n *Carriers) carrier(id string) *Carrier {
	i := slices.IndexFunc(n.all, func(c *Carrier) bool { return c.ID == id })
	if i < 0 {
		return nil
	}
	return n.all[i]
}

// blockOwner finds whose block a number is of; nil for numbers of other countries and services.
func (n *Carriers) blockOwner(number phone.Number) *Carrier {
	if len(number.E164()) != len("+8613812345678") {
		return nil
	}
	for _, c := range n.all {
		if slices.ContainsFunc(c.Prefixes, func(p string) bool { return strings.HasPrefix(number.E164(), p) }) {
			return c
		}
	}
	return nil
}

func (c *Carrier) listen() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("%s: %w", c.ID, err)
	}
	c.address = listener.Addr().String()
	c.server = &http.Server{Handler: c.handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 20 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(c.network.log.Handler(), slog.LevelDebug)}
	c.stopped = make(chan struct{})
	go func() {
		defer close(c.stopped)
		if err := c.server.Serve(listener); err != http.ErrServerClosed {
			c.network.log.Error("a carrier's identity service ended", "carrier", c.ID, "error", err)
		}
	}()
	return nil
}

// Close stops the identity services. Reporters end with the context of Report.
func (n *Carriers) Close() {
	for _, c := range n.all {
		if c.server != nil {
			_ = c.server.Close()
			<-c.stopped
		}
	}
}

// IdentityURL is the base address of the carrier's identity service; /identity-matches stands below it.
func (n *Carriers) IdentityURL(carrier string) string { return "http://" + n.carrier(carrier).address }

// SetDown makes a carrier answer 503 to every identity match, and report nothing, until it is set up again.
func (n *Carriers) SetDown(carrier string, down bool) error {
	c := n.carrier(carrier)
	if c == nil {
		return errNoCarrier
	}
	n.mu.Lock()
	c.down = down
	n.mu.Unlock()
	c.wake()
	return nil
}

func (c *Carrier) isDown() bool {
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	return c.down
}

func (c *Carrier) wake() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

func (c *Carrier) knows(secret string) bool {
	return subtle.ConstantTimeCompare([]byte(secret), c.secret) == 1
}

// Subscriber is a number in service with its holder, as its carrier knows it.
type Subscriber struct {
	Number      phone.Number
	Person      people.Person
	Carrier     string
	TenureStart time.Time
	Suspended   bool
}

// Subscribers lists every number in service, in an order that does not change.
func (n *Carriers) Subscribers() []Subscriber {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []Subscriber
	for _, number := range n.order {
		if s, ok := n.records[number].subscriber(number); ok {
			all = append(all, s)
		}
	}
	return all
}

// Subscriber finds the holder of a number in service.
func (n *Carriers) Subscriber(number phone.Number) (Subscriber, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, ok := n.records[number]
	if !ok {
		return Subscriber{}, false
	}
	return r.subscriber(number)
}

func (r *record) subscriber(number phone.Number) (Subscriber, bool) {
	return Subscriber{number, r.holders[r.life.Tenure.ID], r.life.Carrier, r.life.Tenure.Start, r.life.Suspended},
		r.life.State == tenure.InService
}

// Has tells whether any carrier has ever had the number.
func (n *Carriers) Has(number phone.Number) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, ok := n.records[number]
	return ok
}

// Reachable tells whether a text can reach the number: in service and not suspended.
func (n *Carriers) Reachable(number phone.Number) bool {
	s, ok := n.Subscriber(number)
	return ok && !s.Suspended
}

// Report starts a reporter for each carrier against the hub and waits until ctx ends and all have stopped.
func (n *Carriers) Report(ctx context.Context, hub string, credential func(carrier string) caller.Credential) {
	var running sync.WaitGroup
	for _, c := range n.all {
		running.Go(func() { c.report(ctx, caller.New(hub, credential(c.ID), n.clock)) })
	}
	running.Wait()
}

// NothingNew makes every carrier say to the hub that it is up to date, as after a jump of the clock.
func (n *Carriers) NothingNew() {
	for _, c := range n.all {
		c.wake()
	}
}
