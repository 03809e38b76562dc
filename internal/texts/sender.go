package texts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"untether/internal/audit"
	"untether/internal/clock"
	"untether/internal/keys"
	"untether/internal/phone"
	"untether/internal/work"
)

// Part is one SMPP message of a text that the centre took.
type Part struct {
	CentreID string
	Subject  string
	Ref      string
	Index    int
	Attempt  int // of the text, from 1
	SentAt   time.Time
}

// Received is what became of a receipt.
type Received struct {
	Known    bool // the part is one of ours
	Repeated bool // its last word was known before: this one changed nothing
	work.Key
	Attempt  int // in which the part was sent
	Attempts int // of the text so far
	Deadline time.Time
}

// Tx is what texts need of the storage, inside one transaction.
type Tx interface {
	work.Tx
	audit.Tx
	AddParts(ctx context.Context, parts []Part) error
	// ReceiveParts records the centre's word on each part.
	ReceiveParts(ctx context.Context, receipts []Receipt) ([]Received, error)
	// SearchesReplied notes that the replies to searches were handed over.
	SearchesReplied(ctx context.Context, at time.Time, searches []work.Key) error
	// FailOverdueTexts gives up the open texts whose deadline has passed and tells how many.
	FailOverdueTexts(ctx context.Context, now time.Time) (int, error)
}

// Store runs transactions.
type Store interface {
	Texts(ctx context.Context, fn func(context.Context, Tx) error) error
}

// Sender serves the lane of texts.
type Sender struct {
	Store  Store
	Keys   *keys.Ring
	Clock  clock.Clock
	Bells  *work.Bells
	Centre Centre
	Log    *slog.Logger
	// Serves tells whether texts may go to a number at all; nil: to every number. It is asked here, off the path of the
	// request, so that a request for a code cannot tell which numbers are served.
	Serves func(phone.Number) bool
	// Ready blocks while the centre cannot be reached; nil: it always can. Without it texts would be taken and put back while
	// there is no centre, and each such try would push the next one further away than the centre's return.
	Ready func(context.Context) error

	counts   Counts
	flight   flight
	receipts chan waiting
	stopped  chan struct{} // closed when no receipt is taken any more
	once     sync.Once
}

// Counts is what the sender did since it was made.
type Counts struct {
	HandedOver, Resent, Refused, Postponed, Delivered, Undelivered, UnknownReceipts, Overdue atomic.Int64
}

// Counts gives the running counts.
func (s *Sender) Counts() *Counts { return &s.counts }

const (
	leaseFor     = time.Minute
	batchMax     = 256
	parallel     = 64
	lookEvery    = time.Second // for texts that another replica put there, and for retries
	retryFirst   = 2 * time.Second
	retryMost    = 5 * time.Minute
	submitMost   = 30 * time.Second
	stopGrace    = 5 * time.Second
	insistFor    = 10 * time.Minute
	receiptsHeld = 4096
	// A receipt can overtake the record of the part that it speaks of.
	receiptTries = 5
)

func (s *Sender) init() {
	s.once.Do(func() { s.receipts, s.stopped = make(chan waiting, receiptsHeld), make(chan struct{}) })
}

// stopClock is the machine's own: how long a stop may take does not depend on the country's time.
var stopClock clock.System

// sent is the outcome of handing one text over.
type sent struct {
	item  work.Item
	parts []string
	err   error
}

// final tells whether the text needs no further try.
func (o sent) final() bool { return o.err == nil || errors.Is(o.err, ErrRefused) }

// Run serves the lane until ctx ends; then what is in flight is finished and recorded, within a grace of 5 seconds.
func (s *Sender) Run(ctx context.Context) error {
	s.init()
	due := make(chan work.Item)
	outcomes := make(chan sent, batchMax)
	grace, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		clock.Wait(grace, stopClock, stopClock.Now().Add(stopGrace))
		cancel()
	})()

	var handing, recording sync.WaitGroup
	for range parallel {
		handing.Go(func() {
			for item := range due {
				outcomes <- s.handOver(grace, item)
			}
		})
	}
	recording.Go(func() { s.recordAll(grace, outcomes) })
	recording.Go(func() { s.receiveAll(ctx) })
	s.leaseAll(ctx, due)
	close(due)
	handing.Wait()
	close(outcomes)
	recording.Wait()
	return nil
}

// leaseAll takes due texts and hands them on until ctx ends; those that could not be handed on are due again at once.
func (s *Sender) leaseAll(ctx context.Context, due chan<- work.Item) {
	for ctx.Err() == nil {
		if s.Ready != nil && s.Ready(ctx) != nil {
			return
		}
		bell := s.Bells.Listen(work.Texts)
		items, err := s.lease(ctx)
		if err != nil {
			s.Log.Error("texts cannot be taken from their lane", "error", err)
		}
		fresh := s.flight.board(items)
		for i, item := range fresh {
			select {
			case due <- item:
			case <-ctx.Done():
				s.giveBack(context.WithoutCancel(ctx), fresh[i:])
				return
			}
		}
		if len(fresh) == 0 {
			s.waitForWork(ctx, bell)
		}
	}
}

func (s *Sender) waitForWork(ctx context.Context, bell <-chan struct{}) {
	look, stop := s.Clock.At(s.Clock.Now().Add(lookEvery))
	defer stop()
	select {
	case <-bell:
	case <-look:
	case <-ctx.Done():
	}
}

func (s *Sender) lease(ctx context.Context) ([]work.Item, error) {
	var items []work.Item
	now := s.Clock.Now()
	s.flight.call()
	err := s.Store.Texts(ctx, func(ctx context.Context, tx Tx) (err error) {
		items, err = tx.LeaseWork(ctx, work.Texts, now, now.Add(leaseFor), batchMax)
		if err != nil || len(items) > 0 {
			return err
		}
		overdue, err := tx.FailOverdueTexts(ctx, now)
		if overdue > 0 {
			s.counts.Overdue.Add(int64(overdue))
			s.Log.Error("texts were given up at their deadline", "count", overdue)
		}
		return err
	})
	return items, err
}

func (s *Sender) giveBack(ctx context.Context, items []work.Item) {
	for _, item := range items {
		s.flight.land(item, false)
	}
	err := s.Store.Texts(ctx, func(ctx context.Context, tx Tx) error {
		return tx.PostponeWork(ctx, s.Clock.Now(), keysOf(items))
	})
	if err != nil {
		s.Log.Warn("leased texts could not be given back; they are due again when their lease ends", "error", err)
	}
}

func keysOf(items []work.Item) []work.Key {
	keys := make([]work.Key, len(items))
	for i, item := range items {
		keys[i] = item.Key
	}
	return keys
}

// errLeaseOver says that a text waited here for so long that another replica may have it by now.
var errLeaseOver = errors.New("the text's lease is over")

// handOver submits one text, if its lease lasts until that is done.
func (s *Sender) handOver(ctx context.Context, item work.Item) sent {
	if s.Clock.Now().Add(submitMost).After(s.flight.newest(item).Due) {
		return sent{item, nil, errLeaseOver}
	}
	out, err := s.open(item)
	if err != nil {
		return sent{item, nil, fmt.Errorf("%w: %w", ErrRefused, err)}
	}
	if s.Serves != nil && !s.Serves(out.To) {
		return sent{item, nil, fmt.Errorf("%w: no carrier here serves the number", ErrRefused)}
	}
	ctx, cancel := context.WithTimeout(ctx, submitMost)
	defer cancel()
	parts, err := s.Centre.Submit(ctx, out)
	return sent{item, parts, err}
}

func (s *Sender) open(item work.Item) (Outgoing, error) {
	plain, err := s.Keys.Open(SealContext(item.Key), item.Payload)
	if err != nil {
		return Outgoing{}, err
	}
	var p Payload
	if err := json.Unmarshal(plain, &p); err != nil {
		return Outgoing{}, err
	}
	to, err := phone.Parse(p.To)
	return Outgoing{Reference: p.Reference, From: p.From, To: to, Text: p.Text}, err
}

// recordAll writes down what became of texts, as many in one transaction as are ready.
func (s *Sender) recordAll(ctx context.Context, outcomes <-chan sent) {
	for first := range outcomes {
		batch := []sent{first}
		for len(batch) < batchMax {
			select {
			case o, ok := <-outcomes:
				if ok {
					batch = append(batch, o)
					continue
				}
			default:
			}
			break
		}
		err := s.record(ctx, batch)
		s.land(ctx, batch, err == nil)
		if err != nil {
			s.Log.Error("what became of texts cannot be recorded; they will be sent again", "count", len(batch), "error", err)
		}
	}
}

// land ends the flight of texts. One that needs another try, and was leased again here meanwhile, is due at once: nobody else
// has it.
func (s *Sender) land(ctx context.Context, batch []sent, recorded bool) {
	var again []work.Item
	for _, o := range batch {
		final := recorded && o.final()
		if leasedAgain := s.flight.land(o.item, final); leasedAgain && !final {
			again = append(again, o.item)
		}
	}
	if len(again) > 0 {
		s.giveBack(ctx, again)
	}
}

func (s *Sender) record(ctx context.Context, batch []sent) error {
	now := s.Clock.Now()
	var done []work.Result
	var replied []work.Key
	postponed := map[time.Duration][]work.Key{}
	var handed []string
	for _, o := range batch {
		switch {
		case errors.Is(o.err, errLeaseOver): // it is due again by itself
		case o.err == nil:
			done = append(done, work.Result{Key: o.item.Key, State: work.Done, Outcome: `"sent"`})
			handed = append(handed, o.item.Ref)
			if o.item.Kind == KindReply {
				replied = append(replied, o.item.Key)
			}
		case errors.Is(o.err, ErrRefused):
			done = append(done, work.Result{Key: o.item.Key, State: work.Failed, Outcome: `"refused"`})
		default:
			wait := work.Backoff(o.item.Attempts, retryFirst, retryMost)
			postponed[wait] = append(postponed[wait], o.item.Key)
		}
		s.count(o)
	}
	return s.insist(ctx, func(ctx context.Context, tx Tx) error {
		if _, err := tx.FinishWork(ctx, now, done); err != nil {
			return err
		}
		if err := tx.AddParts(ctx, s.partsOf(batch, now)); err != nil {
			return err
		}
		for wait, keys := range postponed {
			if err := tx.PostponeWork(ctx, now.Add(wait), keys); err != nil {
				return err
			}
		}
		if err := tx.SearchesReplied(ctx, now, replied); err != nil {
			return err
		}
		if len(done) == 0 {
			return nil
		}
		return tx.AddAudit(ctx, audit.Entry{At: now, Actor: "hub", Action: "texts.handedOver", Detail: strings.Join(handed, " ")})
	})
}

func (s *Sender) partsOf(batch []sent, now time.Time) []Part {
	var parts []Part
	for _, o := range batch {
		for i, id := range o.parts {
			parts = append(parts, Part{CentreID: id, Subject: o.item.Subject, Ref: o.item.Ref, Index: i, Attempt: s.flight.newest(o.item).Attempts, SentAt: now})
		}
	}
	return parts
}

// insist repeats a transaction while the database fails: what was handed over and is not written down is sent again. It gives
// up after insistFor, so that one that can never succeed does not keep all others back.
func (s *Sender) insist(ctx context.Context, write func(context.Context, Tx) error) error {
	for until := s.Clock.Now().Add(insistFor); ; {
		err := s.Store.Texts(ctx, write)
		if err == nil || ctx.Err() != nil || s.Clock.Now().After(until) {
			return err
		}
		s.Log.Warn("what became of texts cannot be recorded now; trying again", "error", err)
		_ = clock.Wait(ctx, s.Clock, s.Clock.Now().Add(lookEvery))
	}
}

func (s *Sender) count(o sent) {
	switch {
	case errors.Is(o.err, errLeaseOver):
	case o.err == nil:
		s.counts.HandedOver.Add(1)
		if o.item.Attempts > 1 {
			s.counts.Resent.Add(1)
		}
	case errors.Is(o.err, ErrRefused):
		s.counts.Refused.Add(1)
		s.Log.Info("a text was refused", "kind", o.item.Kind, "ref", o.item.Ref, "error", o.err)
	default:
		s.counts.Postponed.Add(1)
		s.Log.Debug("a text is sent later", "kind", o.item.Kind, "ref", o.item.Ref, "attempt", o.item.Attempts, "error", o.err)
	}
}
