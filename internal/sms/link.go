package sms

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/linxGnu/gosmpp/data"
	"github.com/linxGnu/gosmpp/pdu"

	"untether/internal/sms/wire"
)

// Waiting is counted in beats: a quarter of the response timeout each. An answer is late after lateBeats, so that a beat
// that comes early still leaves a whole timeout.
const (
	beatsPerTimeout = 4
	lateBeats       = beatsPerTimeout + 1
	inboxMax        = 256 // the centre's deliveries that wait for a callback
)

var (
	errSilent  = errors.New("the SMS centre is silent")
	errUnbound = errors.New("the SMS centre unbound")
	errLeft    = errors.New("unbound")
)

// link is one bound connection, from the bind to its loss.
type link struct {
	conn    *wire.Conn
	client  *Client
	beat    time.Duration
	quiet   atomic.Int64  // beats since the peer was last heard
	slots   chan struct{} // one for each unanswered request
	inbox   chan *pdu.DeliverSM
	lost    chan struct{} // closed when the link ended
	running sync.WaitGroup

	mu       sync.Mutex
	cause    error // why it ended
	leaving  bool
	idle     chan struct{} // closed when leaving and nothing is unanswered
	beats    int64
	sequence int32
	pending  map[int32]*request
}

// request is one submit_sm on its way.
type request struct {
	since  int64       // the beat in which it was sent
	answer chan answer // holds one
}

type answer struct {
	id  string
	err error
}

func startLink(conn *wire.Conn, c *Client) *link {
	l := &link{
		conn: conn, client: c, beat: max(c.config.ResponseTimeout/beatsPerTimeout, time.Millisecond),
		slots: make(chan struct{}, c.config.Window), inbox: make(chan *pdu.DeliverSM, inboxMax),
		lost: make(chan struct{}), idle: make(chan struct{}),
		sequence: bindSequence, pending: map[int32]*request{},
	}
	l.running.Go(l.read)
	l.running.Go(l.deliver)
	l.running.Go(l.watch)
	return l
}

// send waits for a free slot and sends p under a fresh sequence number.
func (l *link) send(ctx context.Context, p pdu.PDU) (*request, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.lost:
		return nil, ErrNotBound
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	r := &request{answer: make(chan answer, 1)}
	sequence, ok := l.enter(r)
	if !ok {
		<-l.slots
		return nil, ErrNotBound
	}
	p.SetSequenceNumber(sequence)
	if err := l.conn.Send(p); err != nil {
		l.end(err) // answers r with ErrUnanswered: part of it may have gone out
	}
	return r, nil
}

func (l *link) enter(r *request) (int32, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cause != nil || l.leaving {
		return 0, false
	}
	sequence := l.nextSequence()
	r.since = l.beats
	l.pending[sequence] = r
	return sequence, true
}

// nextSequence needs mu.
func (l *link) nextSequence() int32 {
	l.sequence++
	if l.sequence <= 0 { // 0x7FFFFFFF is the last
		l.sequence = 1
	}
	return l.sequence
}

// settle answers the request with that sequence number, if it still waits.
func (l *link) settle(sequence int32, a answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settleLocked(sequence, a)
}

func (l *link) settleLocked(sequence int32, a answer) {
	r, ok := l.pending[sequence]
	if !ok {
		return
	}
	delete(l.pending, sequence)
	r.answer <- a
	<-l.slots
	if l.leaving && len(l.pending) == 0 {
		close(l.idle)
	}
}

// read takes what the centre sends until the connection ends.
func (l *link) read() {
	defer close(l.inbox)
	for {
		p, err := l.conn.Read()
		var bad *wire.Malformed
		switch {
		case err == nil:
			l.quiet.Store(0)
			l.take(p)
		case errors.As(err, &bad) && !bad.Fatal:
			l.refuse(bad)
		default:
			l.end(err)
			return
		}
	}
}

// refuse deals with a PDU that could not be understood: a request gets a nack, an answer settles its request.
func (l *link) refuse(bad *wire.Malformed) {
	l.client.log.Warn("the SMS centre sent a PDU that cannot be understood", "status", bad.Status.Desc())
	if bad.Answer {
		l.settle(bad.Sequence, answer{err: ErrUnanswered})
		return
	}
	_ = l.conn.Send(bad.Nack())
}

func (l *link) take(p pdu.PDU) {
	switch p := p.(type) {
	case *pdu.SubmitSMResp:
		l.settle(p.SequenceNumber, answer{id: l.client.config.IDs.answered(p.MessageID), err: statusError(p.CommandStatus)})
	case *pdu.GenericNack:
		l.settle(p.SequenceNumber, answer{err: nackError(p.CommandStatus)})
	case *pdu.DeliverSM:
		l.inbox <- p
	case *pdu.EnquireLink:
		_ = l.conn.Send(p.GetResponse())
	case *pdu.Unbind:
		_ = l.conn.Send(p.GetResponse())
		l.finish(errUnbound)
	case *pdu.UnbindResp:
		l.finish(errLeft)
	case *pdu.EnquireLinkResp:
		// that it was heard is all it says
	default:
		l.refuseUnexpected(p)
	}
}

// refuseUnexpected nacks a request that a centre has no business to send; an answer to nothing is passed over.
func (l *link) refuseUnexpected(p pdu.PDU) {
	if p.CanResponse() {
		bad := wire.Malformed{Sequence: p.GetSequenceNumber(), Status: data.ESME_RINVCMDID}
		_ = l.conn.Send(bad.Nack())
	}
}

// deliver runs the callbacks. A delivery is acknowledged when its callback says so, which may be later and elsewhere.
func (l *link) deliver() {
	for p := range l.inbox {
		l.client.dispatch(p, func() { _ = l.conn.Send(p.GetResponse()) })
	}
}

// watch beats: it finds requests without an answer and a peer that is gone.
func (l *link) watch() {
	enquireAfter := max(int64((l.client.config.EnquireLink+l.beat-1)/l.beat), 1)
	for l.awaitBeat() {
		l.expire()
		switch quiet := l.quiet.Add(1); {
		case quiet >= enquireAfter+lateBeats:
			l.end(errSilent)
		case quiet == enquireAfter:
			l.ask(pdu.NewEnquireLink())
		}
	}
}

// ask sends a request whose answer is only heard, not awaited.
func (l *link) ask(p pdu.PDU) {
	l.mu.Lock()
	p.SetSequenceNumber(l.nextSequence())
	l.mu.Unlock()
	_ = l.conn.Send(p)
}

// awaitBeat waits for the next beat; false when the link ended.
func (l *link) awaitBeat() bool {
	reached, stop := l.client.clock.At(l.client.clock.Now().Add(l.beat))
	defer stop()
	select {
	case <-reached:
		return true
	case <-l.lost:
		return false
	}
}

func (l *link) expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.beats++
	for sequence, r := range l.pending {
		if l.beats-r.since >= lateBeats {
			l.settleLocked(sequence, answer{err: ErrUnanswered})
		}
	}
}

// leave takes no more requests, waits for the answers that are due, and unbinds.
func (l *link) leave() {
	l.mu.Lock()
	l.leaving = true
	if len(l.pending) == 0 {
		close(l.idle)
	}
	l.mu.Unlock()
	select {
	case <-l.idle:
	case <-l.lost:
		return
	}
	l.ask(pdu.NewUnbind())
	for range lateBeats {
		if !l.awaitBeat() {
			return // the unbind was answered, or the connection is lost
		}
	}
	l.end(errLeft)
}

// end closes the connection at once; every request still waiting is unanswered.
func (l *link) end(cause error) {
	l.over(cause)
	l.conn.Close()
}

// finish closes the connection after what is queued.
func (l *link) finish(cause error) {
	l.over(cause)
	l.conn.Finish()
}

func (l *link) over(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cause != nil {
		return
	}
	l.cause = cause
	close(l.lost)
	for sequence := range l.pending {
		l.settleLocked(sequence, answer{err: ErrUnanswered})
	}
}

func (l *link) reason() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cause
}
