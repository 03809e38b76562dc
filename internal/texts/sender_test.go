package texts_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"untether/internal/clock"
	"untether/internal/keys"
	"untether/internal/phone"
	"untether/internal/sandbox/centre"
	"untether/internal/search"
	"untether/internal/sms"
	"untether/internal/store"
	"untether/internal/store/storetest"
	"untether/internal/texts"
	"untether/internal/words"
	"untether/internal/work"
)

var (
	number = phone.MustParse("+8613800000001")
	silent = slog.New(slog.DiscardHandler)
)

// world is a sender with a real database and a real SMS centre at the other end of a socket.
type world struct {
	t      *testing.T
	db     *store.DB
	ring   *keys.Ring
	clock  *clock.Movable
	bells  *work.Bells
	centre *centre.Centre
	line   *sms.Client
	sender *texts.Sender
	wrote  chan struct{} // holds a value after a transaction
	submit func(context.Context, texts.Outgoing) ([]string, error)

	mu   sync.Mutex
	sent []texts.Outgoing
	down int // how many transactions more the database refuses
}

// broken is why a transaction fails, if it does.
func (w *world) broken() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down == 0 {
		return nil
	}
	w.down--
	return errors.New("the database is away")
}

// Texts tells the test of every transaction.
func (w *world) Texts(ctx context.Context, fn func(context.Context, texts.Tx) error) error {
	err := w.db.Texts(ctx, func(ctx context.Context, tx texts.Tx) error { return errors.Join(fn(ctx, tx), w.broken()) })
	select {
	case w.wrote <- struct{}{}:
	default:
	}
	return err
}

// Submit notes what is handed over.
func (w *world) Submit(ctx context.Context, o texts.Outgoing) ([]string, error) {
	w.mu.Lock()
	w.sent = append(w.sent, o)
	w.mu.Unlock()
	return w.submit(ctx, o)
}

func (w *world) submitted() []texts.Outgoing {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sent
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, db: storetest.Open(t), clock: &clock.Movable{}, bells: &work.Bells{}, wrote: make(chan struct{}, 1)}
	var err error
	if w.ring, err = keys.New(keys.Generate()); err != nil {
		t.Fatal(err)
	}
	w.centre, err = centre.Open(centre.Options{Listen: "127.0.0.1:0", SystemIDs: map[string]string{"hub": "pass"}, Clock: w.clock, Log: silent})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.centre.Close() })
	w.sender = &texts.Sender{Store: w, Keys: w.ring, Clock: w.clock, Bells: w.bells, Log: silent, Centre: w}
	w.line = sms.New(sms.Config{Address: w.centre.Addr(), SystemID: "hub", Password: "pass", ReconnectMin: time.Millisecond, ReconnectMax: 20 * time.Millisecond},
		w.clock, silent, w.sender.OnReceipt, func(_, _, _ string) {})
	w.submit = w.line.Submit
	w.sender.Ready = func(ctx context.Context) error { return w.line.Await(ctx, true) }
	w.background(w.line.Run)
	if err := w.line.Await(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	return w
}

// background runs something until the test ends, or until the function that it gives is called.
func (w *world) background(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = run(ctx)
	}()
	stop = func() { cancel(); <-ended }
	w.t.Cleanup(stop)
	return stop
}

// put puts a text into the lane.
func (w *world) put(ref, kind string, deadline time.Duration) work.Key {
	w.t.Helper()
	key := work.Key{Subject: w.ring.Subject(number), Ref: ref, Lane: work.Texts}
	payload, err := json.Marshal(texts.Payload{To: number.E164(), From: "10699000", Text: "about " + ref, Reference: texts.ReferenceOf(ref)})
	if err != nil {
		w.t.Fatal(err)
	}
	now := w.clock.Now()
	w.write(func(ctx context.Context, tx *store.Tx) error {
		if kind == texts.KindReply {
			err := tx.AddSearch(ctx, search.Search{Subject: key.Subject, ID: ref, Tenure: "t1", Language: words.En, Status: search.Replying, Number: []byte("sealed"), RequestedAt: now, Deadline: now})
			if err != nil {
				return err
			}
		}
		return tx.AddWork(ctx, []work.Item{{Key: key, Kind: kind, Payload: w.ring.Seal(texts.SealContext(key), payload), Due: now, Deadline: now.Add(deadline)}})
	})
	w.bells.Ring(work.Texts)
	return key
}

func (w *world) write(fn func(context.Context, *store.Tx) error) {
	w.t.Helper()
	if err := w.db.Write(w.t.Context(), fn); err != nil {
		w.t.Fatal(err)
	}
}

// state is the text's row.
func (w *world) state(k work.Key) (state, outcome string) {
	w.t.Helper()
	err := storetest.SQL(w.t, w.db).QueryRow(`SELECT state, outcome FROM work WHERE ref = $1 AND lane = 'text'`, k.Ref).Scan(&state, &outcome)
	if err != nil {
		w.t.Fatal(err)
	}
	return state, outcome
}

// until waits for a condition, which it looks at again after every transaction.
func (w *world) until(what string, holds func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	for !holds() {
		select {
		case <-w.wrote:
		case <-ctx.Done():
			w.t.Fatalf("waited in vain until %s; %d submitted, %d arrived, %d postponed", what, len(w.submitted()), len(w.arrived()), w.sender.Counts().Postponed.Load())
		}
	}
}

func (w *world) arrived() []centre.Message { return w.centre.Messages(number.E164()) }

func TestDelivered(t *testing.T) {
	w := newWorld(t)
	w.background(w.sender.Run)
	reply := w.put("s1", texts.KindReply, time.Hour)
	w.until("the receipt is there", func() bool { return w.sender.Counts().Delivered.Load() == 1 })
	if state, outcome := w.state(reply); state != "done" || outcome != `"sent"` || len(w.arrived()) != 1 || w.arrived()[0].Text != "about s1" {
		t.Errorf("%s %s, arrived %v", state, outcome, w.arrived())
	}
	var status string
	if err := storetest.SQL(t, w.db).QueryRow(`SELECT status FROM searches WHERE id = 's1'`).Scan(&status); err != nil || status != "replied" {
		t.Errorf("the search is %q, %v", status, err)
	}
	if c := w.sender.Counts(); c.HandedOver.Load() != 1 || c.Resent.Load() != 0 {
		t.Errorf("%d handed over, %d again", c.HandedOver.Load(), c.Resent.Load())
	}
}

func TestCentreDownForAnHour(t *testing.T) {
	for name, asked := range map[string]bool{"known to be away": true, "found to be away at every try": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.centre.SetDown(true)
			if err := w.line.Await(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			if !asked {
				w.sender.Ready = nil
			}
			w.background(w.sender.Run)
			w.put("s1", texts.KindReply, 7*24*time.Hour)
			for range 4 {
				before := w.sender.Counts().Postponed.Load()
				w.clock.Advance(15 * time.Minute)
				w.until("it was tried and put back", func() bool { return asked || w.sender.Counts().Postponed.Load() > before })
			}
			w.centre.SetDown(false)
			if err := w.line.Await(t.Context(), true); err != nil {
				t.Fatal(err)
			}
			w.clock.Advance(5 * time.Minute)
			seen := w.sender.Counts().Postponed.Load()
			w.until("it is delivered", func() bool {
				if postponed := w.sender.Counts().Postponed.Load(); postponed > seen { // a try that had begun before
					seen = postponed
					w.clock.Advance(5 * time.Minute)
				}
				return w.sender.Counts().Delivered.Load() == 1
			})
			if len(w.arrived()) != 1 {
				t.Errorf("%d texts arrived", len(w.arrived()))
			}
		})
	}
}

// A handset that is off lets the text expire; it is sent again, the same.
func TestExpiredIsSentAgain(t *testing.T) {
	w := newWorld(t)
	w.centre.SetHandset(number.E164(), false)
	w.background(w.sender.Run)
	w.put("s1", texts.KindReply, 7*24*time.Hour)
	w.until("the receipt says that it expired", func() bool { return w.sender.Counts().Undelivered.Load() == 1 })
	w.centre.SetHandset(number.E164(), true)
	w.clock.Advance(time.Minute)
	w.until("the second one is delivered", func() bool { return w.sender.Counts().Delivered.Load() == 1 })
	sent := w.submitted()
	if len(sent) != 2 || sent[0] != sent[1] || len(w.arrived()) != 1 {
		t.Errorf("sent %+v, arrived %d", sent, len(w.arrived()))
	}
}

// Once its time is over, a text that expired is not sent again.
func TestExpiredTooLate(t *testing.T) {
	w := newWorld(t)
	w.centre.SetHandset(number.E164(), false)
	w.background(w.sender.Run)
	code := w.put("c1", texts.KindCode, time.Second)
	w.until("the receipt says that it expired", func() bool { return w.sender.Counts().Undelivered.Load() == 1 })
	w.clock.Advance(time.Minute)
	w.put("c2", texts.KindCode, time.Hour)
	w.until("another text went its way", func() bool { return w.sender.Counts().Undelivered.Load() == 2 })
	if state, _ := w.state(code); state != "done" || len(w.submitted()) < 2 || w.submitted()[1].Text != "about c2" {
		t.Errorf("%s, sent %+v", state, w.submitted())
	}
}

// The process dies after the centre took the text and before that was written down: a second one goes out, with the same
// reference, and is counted.
func TestDeathInTheHandOver(t *testing.T) {
	w := newWorld(t)
	key := w.put("s1", texts.KindReply, 7*24*time.Hour)
	now := w.clock.Now()
	w.write(func(ctx context.Context, tx *store.Tx) error {
		items, err := tx.LeaseWork(ctx, work.Texts, now, now.Add(time.Minute), 1)
		if len(items) != 1 {
			t.Errorf("%d texts leased", len(items))
		}
		return err
	})
	dead := texts.Outgoing{Reference: texts.ReferenceOf("s1"), From: "10699000", To: number, Text: "about s1"}
	if _, err := w.line.Submit(t.Context(), dead); err != nil {
		t.Fatal(err)
	}
	w.background(w.sender.Run)
	w.clock.Advance(time.Minute)
	w.until("it was sent again", func() bool { return w.sender.Counts().HandedOver.Load() == 1 })
	if sent := w.submitted(); len(sent) != 1 || sent[0] != dead || w.sender.Counts().Resent.Load() != 1 {
		t.Errorf("sent %+v, %d counted", sent, w.sender.Counts().Resent.Load())
	}
	w.until("that is written down", func() bool { state, _ := w.state(key); return state == "done" })
}

// A database that is away between the hand-over and the record is waited for: only a death in between sends a text twice.
func TestDatabaseAwayAfterTheHandOver(t *testing.T) {
	w := newWorld(t)
	w.submit = func(ctx context.Context, o texts.Outgoing) ([]string, error) {
		ids, err := w.line.Submit(ctx, o)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.down = 8
		return ids, err
	}
	key := w.put("s1", texts.KindReply, time.Hour)
	w.background(w.sender.Run)
	w.until("it is written down", func() bool {
		w.clock.Advance(20 * time.Second) // leases of a minute end meanwhile
		state, _ := w.state(key)
		return state == "done"
	})
	w.clock.Advance(2 * time.Minute)
	w.until("its receipt is there", func() bool { return w.sender.Counts().Delivered.Load() == 1 })
	if n := len(w.submitted()); n != 1 {
		t.Errorf("it was handed over %d times", n)
	}
}

func TestRefused(t *testing.T) {
	for name, spoil := range map[string]func(w *world){
		"nobody serves the number": func(w *world) { w.sender.Serves = func(phone.Number) bool { return false } },
		"sealed under another key": func(w *world) {
			other, err := keys.New(keys.Generate())
			if err != nil {
				w.t.Fatal(err)
			}
			w.sender.Keys = other
		},
		"the centre's last word": func(w *world) {
			w.submit = func(context.Context, texts.Outgoing) ([]string, error) { return nil, texts.ErrRefused }
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			spoil(w)
			key := w.put("s1", texts.KindReply, time.Hour)
			w.background(w.sender.Run)
			w.until("it is refused", func() bool { return w.sender.Counts().Refused.Load() == 1 })
			w.until("that is written down", func() bool { state, outcome := w.state(key); return state == "failed" && outcome == `"refused"` })
			if len(w.arrived()) != 0 {
				t.Error("it arrived all the same")
			}
		})
	}
}

func TestOverdue(t *testing.T) {
	w := newWorld(t)
	key := w.put("c1", texts.KindCode, time.Minute)
	w.clock.Advance(time.Minute)
	w.background(w.sender.Run)
	w.until("it is given up", func() bool { return w.sender.Counts().Overdue.Load() == 1 })
	if state, outcome := w.state(key); state != "failed" || outcome != `"overdue"` || len(w.submitted()) != 0 {
		t.Errorf("%s %s, sent %v", state, outcome, w.submitted())
	}
}

// A lease that ends while the centre is slow, or because the clock jumped, does not send the text twice; and a receipt of
// failure still has it sent again.
func TestLeaseEndsInTheHandOver(t *testing.T) {
	w := newWorld(t)
	w.centre.SetHandset(number.E164(), false)
	begun, release := make(chan struct{}, 9), make(chan struct{})
	w.submit = func(ctx context.Context, o texts.Outgoing) ([]string, error) {
		begun <- struct{}{}
		<-release
		return w.line.Submit(ctx, o)
	}
	w.background(w.sender.Run)
	key := w.put("s1", texts.KindReply, 7*24*time.Hour)
	<-begun
	w.clock.Advance(48 * time.Hour)
	w.until("the lane gave it out again", func() bool {
		var attempts int
		if err := storetest.SQL(t, w.db).QueryRow(`SELECT attempts FROM work WHERE ref = 's1'`).Scan(&attempts); err != nil {
			t.Fatal(err)
		}
		return attempts == 2
	})
	w.put("s2", texts.KindReply, 7*24*time.Hour) // and goes on with others
	<-begun
	if sent := w.submitted(); len(sent) != 2 || sent[1].Text != "about s2" {
		t.Errorf("handed over %+v", sent)
	}
	close(release)
	w.until("both expired", func() bool { return w.sender.Counts().Undelivered.Load() == 2 })
	w.centre.SetHandset(number.E164(), true)
	w.clock.Advance(time.Minute)
	w.until("both are delivered", func() bool { return w.sender.Counts().Delivered.Load() == 2 })
	if state, _ := w.state(key); state != "done" || len(w.arrived()) != 2 {
		t.Errorf("%s, %d arrived", state, len(w.arrived()))
	}
}

// A stop waits for what is in flight and writes it down.
func TestStop(t *testing.T) {
	w := newWorld(t)
	begun, release := make(chan struct{}), make(chan struct{})
	w.submit = func(ctx context.Context, o texts.Outgoing) ([]string, error) {
		close(begun)
		<-release
		return w.line.Submit(ctx, o)
	}
	stop := w.background(w.sender.Run)
	key := w.put("s1", texts.KindReply, time.Hour)
	<-begun
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	close(release)
	<-stopped
	if state, _ := w.state(key); state != "done" || len(w.arrived()) != 1 {
		t.Errorf("%s, %d arrived", state, len(w.arrived()))
	}
}

// A receipt that nobody waits for, and one that overtakes the record of its part.
func TestReceipts(t *testing.T) {
	w := newWorld(t)
	w.background(w.sender.Run)
	w.sender.OnReceipt(texts.Receipt{MessageID: "nobody's", Final: true, Delivered: true, Status: "DELIVRD", At: w.clock.Now()}, func() {})
	w.until("it is given up", func() bool { w.clock.Advance(time.Second); return w.sender.Counts().UnknownReceipts.Load() == 1 })
	early := make(chan struct{})
	w.sender.OnReceipt(texts.Receipt{MessageID: "early", Final: true, Delivered: true, Status: "DELIVRD", At: w.clock.Now()}, func() { close(early) })
	key := w.put("s1", texts.KindReply, time.Hour)
	w.write(func(ctx context.Context, tx *store.Tx) error {
		return tx.AddParts(ctx, []texts.Part{{CentreID: "early", Subject: key.Subject, Ref: key.Ref, Attempt: 1, SentAt: w.clock.Now()}})
	})
	w.until("it is recorded", func() bool {
		w.clock.Advance(time.Second)
		select {
		case <-early:
			return true
		default:
			return false
		}
	})
}

func TestReferenceOf(t *testing.T) {
	first := texts.ReferenceOf("a")
	if again := texts.ReferenceOf("a"); again != first || texts.ReferenceOf("b") == first {
		t.Error("a reference is one text's own, always the same")
	}
}
