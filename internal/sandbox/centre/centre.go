// Package centre is the SMS centre of the sandbox country: a real SMPP 3.4 server on loopback, with the handsets that it
// delivers to. The hub and the apps reach it as they would a carrier's, by binding with a system id and password.
//
// It guarantees: a text in several parts is delivered whole, once all its parts came; every part whose sender asked for it
// gets one final receipt, also when the sender is away for a while; a handset's texts stand in the order of delivery;
// whatever a stranger sends is bounded and at most costs the stranger the connection.
// It does not guarantee that anything survives the process, and no more than the latest texts of a handset are kept. It
// delivers at once: a handset that is off has its texts expire.
package centre

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"untether/internal/clock"
	"untether/internal/sms/wire"
)

// Bounds.
const (
	sessionsMax   = 64               // connections at a time
	bindTimeout   = 10 * time.Second // a connection that has not bound by then is closed
	malformedMax  = 100              // PDUs without sense before the connection is closed
	waitingMax    = 100_000          // deliveries that wait for one system id; the oldest go first
	windowMax     = 256              // unanswered deliveries of one connection
	assembliesMax = 10_000           // texts whose parts have not all come
	assemblyLife  = 10 * time.Minute // how long the rest may take
	messagesMax   = 200              // texts kept for a handset
	handsetsMax   = 200_000          // handsets that ever got a text
)

// Options say what the centre is like.
type Options struct {
	Listen    string            // host:port; port 0 picks a free one
	SystemIDs map[string]string // who may bind, with their passwords
	Clock     clock.Clock
	Log       *slog.Logger

	Known          func(number string) bool // whether an E.164 number with plus sign has a handset; nil: every number has
	ShortCode      string                   // where handsets send to ["10699000"]
	ShortCodeOwner string                   // the system id that receives what they send; empty: every one does
}

// Centre is a running SMS centre.
type Centre struct {
	options  Options
	listener net.Listener
	handsets *handsets
	parts    *assembler
	accounts map[string]*account

	run       uint32 // tells this run's message ids from another's
	lastID    atomic.Uint32
	reference atomic.Uint32
	throttled atomic.Int64
	running   sync.WaitGroup

	mu       sync.Mutex
	down     bool
	closed   bool
	sessions map[*session]struct{}
}

// Open listens and serves until Close.
func Open(options Options) (*Centre, error) {
	if options.ShortCode == "" {
		options.ShortCode = "10699000"
	}
	listener, err := net.Listen("tcp", options.Listen)
	if err != nil {
		return nil, fmt.Errorf("the SMS centre cannot listen: %w", err)
	}
	c := &Centre{
		options: options, listener: listener, run: rand.Uint32(),
		handsets: newHandsets(options.Known),
		parts:    newAssembler(),
		accounts: map[string]*account{},
		sessions: map[*session]struct{}{},
	}
	for id, password := range options.SystemIDs {
		c.accounts[id] = &account{id: id, password: password, log: options.Log}
	}
	c.running.Go(c.accept)
	return c, nil
}

// Addr is where it listens, host:port.
func (c *Centre) Addr() string { return c.listener.Addr().String() }

// Close ends every connection and waits for them.
func (c *Centre) Close() error {
	c.mu.Lock()
	c.closed = true
	c.dropAll()
	c.mu.Unlock()
	err := c.listener.Close()
	c.running.Wait()
	return err
}

// SetDown takes the centre down: connections are dropped, and new ones are closed before a byte is read. The port stays
// taken, so that the centre comes up again where it was. What waits for delivery is kept.
func (c *Centre) SetDown(down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = down
	if down {
		c.dropAll()
	}
}

// Throttle answers the next n submits with "throttled".
func (c *Centre) Throttle(n int) { c.throttled.Store(int64(n)) }

// dropAll needs mu.
func (c *Centre) dropAll() {
	for s := range c.sessions {
		s.conn.Close()
	}
}

func (c *Centre) accept() {
	for {
		peer, err := c.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			c.options.Log.Warn("the SMS centre could not accept", "error", err)
			continue
		}
		c.admit(peer)
	}
}

func (c *Centre) admit(peer net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down || c.closed || len(c.sessions) >= sessionsMax {
		_ = peer.Close()
		return
	}
	s := newSession(c, wire.New(peer))
	c.sessions[s] = struct{}{}
	c.running.Go(func() {
		s.serve()
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.sessions, s)
	})
}

// nextID makes a message id that no other run of a centre has given.
func (c *Centre) nextID() string { return fmt.Sprintf("%08x%08x", c.run, c.lastID.Add(1)) }

// spendThrottle tells whether a submit is to be throttled.
func (c *Centre) spendThrottle() bool {
	for {
		left := c.throttled.Load()
		if left <= 0 {
			return false
		}
		if c.throttled.CompareAndSwap(left, left-1) {
			return true
		}
	}
}
