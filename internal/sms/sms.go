// Package sms hands texts to an SMS centre over SMPP 3.4 and hears from it what became of them. Client implements
// texts.Centre.
//
// It guarantees: one transceiver stays bound, and is bound again after any loss, with backoff and jitter; any number of
// Submits share it, with at most Config.Window unanswered requests; every part asks for a receipt; the same text and
// reference go out as the same bytes. A receipt is acknowledged to the centre only when it was recorded, a handset's message
// when its callback has returned, so what a crash interrupted is delivered again.
//
// It does not guarantee that a text is taken once: when the connection is lost between a request and its answer, Submit
// cannot know, says ErrUnanswered, and the caller sends again under the same reference. A receipt can overtake the return
// of the Submit that it belongs to. Parts of a handset's long message arrive one by one.
//
// The PDUs are gosmpp's (package pdu); the connection is our own, in package wire and here, because gosmpp's Session
// cannot carry these guarantees: a full window is an error instead of a wait; a request enters the window's table only
// after it was written, so that a quick answer counts as unexpected; an error answer without a body, which the standard
// prescribes, breaks its stream (its issue 117); its bind waits without limit for an answer; closing does not wait for
// answers; one write for each PDU; and the machine's clock and sleeps inside.
//
// Waiting is counted in beats of the clock (a quarter of Config.ResponseTimeout), not by instants: when a demo's clock
// jumps two days, one beat comes early, and nothing that is in flight is taken for lost.
package sms

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"untether/internal/clock"
	"untether/internal/texts"
)

// Config is where the centre is and how to speak with it. Zero values mean the default in brackets.
type Config struct {
	Address    string // host:port
	SystemID   string // at most 15 octets
	Password   string // at most 8 octets by the standard; longer ones are sent as they are
	SystemType string
	TLS        *tls.Config // nil: plain TCP, as most centres expect inside a private network

	SourceTON, SourceNPI byte // of the short code [0, 0: unknown]; destinations are always international E.164
	IDs                  IDs  // how the centre writes message ids in receipts [IDsAlike]

	Window          int           // unanswered requests at a time [32]
	EnquireLink     time.Duration // silence after which the peer is asked whether it is there [30 s]
	ResponseTimeout time.Duration // how long an answer may take [20 s]
	ReconnectMin    time.Duration // first wait after a loss [500 ms], doubled each time
	ReconnectMax    time.Duration // up to this [30 s]
}

func (c Config) withDefaults() Config {
	c.Window = positive(c.Window, 32)
	c.EnquireLink = positive(c.EnquireLink, 30*time.Second)
	c.ResponseTimeout = positive(c.ResponseTimeout, 20*time.Second)
	c.ReconnectMin = positive(c.ReconnectMin, 500*time.Millisecond)
	c.ReconnectMax = max(positive(c.ReconnectMax, 30*time.Second), c.ReconnectMin)
	return c
}

func positive[N int | time.Duration](n, otherwise N) N {
	if n > 0 {
		return n
	}
	return otherwise
}

// Temporary failures of Submit; each is worth a retry.
var (
	ErrNotBound   = errors.New("no bind with the SMS centre")
	ErrUnanswered = errors.New("the SMS centre did not answer; it may have taken the text")
	ErrLater      = errors.New("the SMS centre asks to try later")
)

var _ texts.Centre = (*Client)(nil)

// Client keeps one transceiver bound to a centre. Make it with New and run it with Run.
type Client struct {
	config    Config
	clock     clock.Clock
	log       *slog.Logger
	onReceipt func(r texts.Receipt, recorded func())
	onMessage func(from, to, text string)

	mu      sync.Mutex
	bound   *link         // nil while there is no bind
	changed chan struct{} // closed when bound changes
}

// New makes a client; nothing is dialled before Run. onReceipt, or whoever it hands the receipt to, calls recorded once, when
// the receipt cannot be lost any more; without that the centre sends it again. The callbacks are called one at a time, in the centre's order, and
// should return soon: while one runs for long, the centre's further deliveries wait. They must not call Submit and wait
// for it. A message's numbers have a plus sign when the centre marks them as international.
func New(config Config, c clock.Clock, log *slog.Logger, onReceipt func(r texts.Receipt, recorded func()), onMessage func(from, to, text string)) *Client {
	return &Client{
		config: config.withDefaults(), clock: c, log: log, onReceipt: onReceipt, onMessage: onMessage,
		changed: make(chan struct{}),
	}
}

// Bound tells whether the centre can be reached now.
func (c *Client) Bound() bool { return c.link() != nil }

// Await waits until the client is bound, or until it is not.
func (c *Client) Await(ctx context.Context, bound bool) error {
	for {
		c.mu.Lock()
		is, changed := c.bound != nil, c.changed
		c.mu.Unlock()
		if is == bound {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *Client) link() *link {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bound
}

func (c *Client) setLink(l *link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bound != l {
		c.bound = l
		close(c.changed)
		c.changed = make(chan struct{})
	}
}

// Run keeps the bind until ctx ends; then it waits for what is unanswered, unbinds and returns nil. It must run once.
func (c *Client) Run(ctx context.Context) error {
	wait := c.config.ReconnectMin
	for ctx.Err() == nil {
		l, err := c.bind(ctx)
		if err == nil {
			c.log.Info("bound to the SMS centre", "address", c.config.Address)
			wait = c.config.ReconnectMin
			err = c.serve(ctx, l)
		}
		if ctx.Err() != nil {
			break
		}
		pause := wait/2 + rand.N(wait/2+1)
		c.log.Warn("no SMS centre", "address", c.config.Address, "error", err, "retryIn", pause)
		_ = clock.Wait(ctx, c.clock, c.clock.Now().Add(pause))
		wait = min(2*wait, c.config.ReconnectMax)
	}
	return nil
}

// serve lets Submits use the link until it is lost or ctx ends.
func (c *Client) serve(ctx context.Context, l *link) error {
	c.setLink(l)
	select {
	case <-l.lost:
		c.setLink(nil)
	case <-ctx.Done():
		c.setLink(nil)
		l.leave()
	}
	l.running.Wait()
	return l.reason()
}
