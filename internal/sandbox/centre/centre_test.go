package centre_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/linxGnu/gosmpp/data"
	"github.com/linxGnu/gosmpp/pdu"

	"untether/internal/clock"
	"untether/internal/phone"
	"untether/internal/sandbox/centre"
	"untether/internal/sms"
	"untether/internal/sms/wire"
	"untether/internal/texts"
)

const (
	on      = "+8613800000001"
	off     = "+8613800000002"
	unknown = "+8613900000000"
)

// country is a centre, a client bound to it, and what the client heard.
type country struct {
	t        *testing.T
	centre   *centre.Centre
	clock    *clock.Movable
	client   *sms.Client
	stop     func()
	receipts chan texts.Receipt
	messages chan [3]string
}

func open(t *testing.T) *country {
	t.Helper()
	n := &country{t: t, clock: &clock.Movable{}, receipts: make(chan texts.Receipt, 20_000), messages: make(chan [3]string, 100)}
	c, err := centre.Open(centre.Options{
		Listen: "127.0.0.1:0", SystemIDs: map[string]string{"hub": "secret", "app": "other"}, Clock: n.clock,
		Log: slog.New(slog.DiscardHandler), ShortCodeOwner: "hub",
		Known: func(number string) bool { return strings.HasPrefix(number, "+86138") },
	})
	if err != nil {
		t.Fatal(err)
	}
	n.centre = c
	t.Cleanup(func() { _ = c.Close() })
	n.client, n.stop = n.bind("hub", "secret")
	t.Cleanup(n.stop)
	if err := n.client.Await(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	return n
}

// bind runs a client until stop is called.
func (n *country) bind(id, password string) (*sms.Client, func()) {
	client := sms.New(sms.Config{
		Address: n.centre.Addr(), SystemID: id, Password: password, ReconnectMin: time.Millisecond, ReconnectMax: 10 * time.Millisecond,
	}, n.clock, slog.New(slog.DiscardHandler), func(r texts.Receipt, recorded func()) { recorded(); n.receipts <- r },
		func(from, to, text string) { n.messages <- [3]string{from, to, text} })
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = client.Run(ctx)
	}()
	return client, func() {
		cancel()
		<-ended
	}
}

func outgoing(reference uint16, to, text string) texts.Outgoing {
	return texts.Outgoing{Reference: reference, From: "10699000", To: phone.MustParse(to), Text: text}
}

func (n *country) submit(reference uint16, to, text string) []string {
	n.t.Helper()
	ids, err := n.client.Submit(n.t.Context(), outgoing(reference, to, text))
	if err != nil {
		n.t.Fatal(err)
	}
	return ids
}

func TestTwoThousandTexts(t *testing.T) {
	n := open(t)
	const count, workers = 2000, 50
	text := func(i int) string { return fmt.Sprintf("第%d条：", i) + strings.Repeat("清号📱", i%60) }
	number := func(i int) string { return fmt.Sprintf("+86138%08d", i%500) }
	var mu sync.Mutex
	ids := map[string]bool{}
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := w; i < count; i += workers {
				got, err := n.client.Submit(t.Context(), outgoing(uint16(i), number(i), text(i)))
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				for _, id := range got {
					ids[id] = true
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	for range len(ids) {
		if r := <-n.receipts; !r.Delivered || !ids[r.MessageID] {
			t.Fatalf("%+v", r)
		} else {
			delete(ids, r.MessageID)
		}
	}
	want := map[string]int{}
	for i := range count {
		want[number(i)+text(i)]++
	}
	for i := range 500 {
		for _, m := range n.centre.Messages(number(i)) {
			want[m.To+m.Text]--
		}
	}
	for text, left := range want {
		if left != 0 {
			t.Errorf("%d missing (or, below 0, too many) of %.30q", left, text)
		}
	}
}

func TestReceipts(t *testing.T) {
	n := open(t)
	n.centre.SetHandset(off, false)
	for _, row := range []struct {
		name, to, status string
		inbox            int
	}{
		{"handset on", on, "DELIVRD", 1},
		{"handset off", off, "EXPIRED", 0},
		{"unknown number", unknown, "UNDELIV", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			ids := n.submit(1, row.to, strings.Repeat("清", 71))
			for range ids {
				if r := <-n.receipts; r.Status != row.status || !r.Final || r.Delivered != (row.inbox > 0) {
					t.Errorf("%+v", r)
				}
			}
			if got := len(n.centre.Messages(row.to)); got != row.inbox {
				t.Errorf("%d texts on the handset", got)
			}
		})
	}
	t.Run("switched on again", func(t *testing.T) {
		n.centre.SetHandset(off, true)
		n.submit(2, off, "x")
		if r := <-n.receipts; !r.Delivered {
			t.Errorf("%+v", r)
		}
	})
}

func TestDownAndUpAgain(t *testing.T) {
	n := open(t)
	n.centre.SetDown(true)
	if err := n.client.Await(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if _, err := n.client.Submit(t.Context(), outgoing(1, on, "x")); !errors.Is(err, sms.ErrNotBound) {
		t.Fatalf("while down: %v", err)
	}
	n.centre.SetDown(false)
	if err := n.client.Await(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	id := n.submit(1, on, "x")[0]
	if r := <-n.receipts; r.MessageID != id || !r.Delivered {
		t.Errorf("%+v", r)
	}
}

func TestReceiptWaitsForItsSender(t *testing.T) {
	n := open(t)
	s := dial(t, n)
	s.bind(pdu.Transmitter, "app", "other")
	id := s.submit(on)
	s.conn.Close()
	_, stop := n.bind("app", "other")
	defer stop()
	if r := <-n.receipts; r.MessageID != id || !r.Delivered {
		t.Errorf("%+v", r)
	}
}

func TestUnansweredDeliveryComesAgain(t *testing.T) {
	n := open(t)
	s := dial(t, n)
	s.bind(pdu.Transceiver, "app", "other")
	id := s.submit(on)
	if _, ok := s.read().(*pdu.DeliverSM); !ok {
		t.Fatal("no receipt")
	}
	s.conn.Close() // without an answer
	_, stop := n.bind("app", "other")
	defer stop()
	if r := <-n.receipts; r.MessageID != id {
		t.Errorf("%+v", r)
	}
}

func TestThrottle(t *testing.T) {
	n := open(t)
	n.centre.Throttle(2)
	for i := range 2 {
		if _, err := n.client.Submit(t.Context(), outgoing(1, on, "x")); !errors.Is(err, sms.ErrLater) {
			t.Fatalf("submit %d: %v", i+1, err)
		}
	}
	n.submit(1, on, "x")
}

func TestWrongPassword(t *testing.T) {
	n := open(t)
	for name, who := range map[string][2]string{"wrong password": {"hub", "guess"}, "unknown system id": {"nobody", "secret"}} {
		t.Run(name, func(t *testing.T) {
			s := dial(t, n)
			answer := s.ask(bindRequest(pdu.Transceiver, who[0], who[1]))
			if status := answer.GetHeader().CommandStatus; status != data.ESME_RBINDFAIL {
				t.Errorf("status %v", status)
			}
			s.ended()
		})
	}
}

func TestGarbage(t *testing.T) {
	n := open(t)
	for name, bytes := range map[string]string{
		"a web request": "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"a huge length": "\x7f\xff\xff\xff\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x09",
		"zeros":         strings.Repeat("\x00", 64),
	} {
		t.Run(name, func(t *testing.T) {
			peer, err := net.Dial("tcp", n.centre.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = peer.Close() }()
			if _, err := io.WriteString(peer, bytes); err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, peer) // ends only because the centre hung up
		})
	}
	n.submit(1, on, "still there")
}

func TestStranger(t *testing.T) {
	n := open(t)
	for _, row := range []struct {
		name string
		bind pdu.BindingType
		p    pdu.PDU
		want data.CommandStatusType
	}{
		{"submit on a receiver", pdu.Receiver, submitTo(on), data.ESME_RINVBNDSTS},
		{"letters for a number", pdu.Transceiver, submitTo("+86138abc"), data.ESME_RINVDSTADR},
		{"a second bind", pdu.Transceiver, bindRequest(pdu.Transceiver, "app", "other"), data.ESME_RALYBND},
		{"a request that is not served", pdu.Transceiver, pdu.NewQuerySM(), data.ESME_RINVCMDID},
		{"enquire_link", pdu.Transceiver, pdu.NewEnquireLink(), data.ESME_ROK},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := dial(t, n)
			s.bind(row.bind, "app", "other")
			if got := s.ask(row.p).GetHeader().CommandStatus; got != row.want {
				t.Errorf("status %v", got)
			}
		})
	}
	t.Run("submit before a bind", func(t *testing.T) {
		if got := dial(t, n).ask(submitTo(on)).GetHeader().CommandStatus; got != data.ESME_RINVBNDSTS {
			t.Errorf("status %v", got)
		}
	})
	t.Run("rubbish without end", func(t *testing.T) {
		s := dial(t, n)
		for s.conn.Send(pdu.NewQuerySM()) == nil {
		}
	})
}

func TestConnectionThatNeverBinds(t *testing.T) {
	n := open(t)
	s := dial(t, n)
	s.ask(pdu.NewEnquireLink()) // so it is being served
	n.clock.Advance(time.Minute)
	s.ended()
}

func TestHandsetSends(t *testing.T) {
	n := open(t)
	n.centre.SetHandset(off, false)
	if err := n.centre.Send(on, "查📱"); err != nil {
		t.Fatal(err)
	}
	if got := <-n.messages; got != [3]string{on, "10699000", "查📱"} {
		t.Errorf("got %q", got[2])
	}
	for _, row := range []struct {
		name, from, text string
		want             error
	}{
		{"unknown handset", unknown, "x", centre.ErrUnknown},
		{"handset off", off, "x", centre.ErrOff},
	} {
		if err := n.centre.Send(row.from, row.text); !errors.Is(err, row.want) {
			t.Errorf("%s: %v", row.name, err)
		}
	}
	if err := n.centre.Send(on, ""); !errors.Is(err, texts.ErrRefused) {
		t.Errorf("empty text: %v", err)
	}
}

func TestInbox(t *testing.T) {
	n := open(t)
	watch, stop := n.centre.Watch(on)
	for i := range 205 {
		n.submit(1, on, fmt.Sprint(i))
		<-n.receipts
	}
	<-watch
	got := n.centre.Messages(on)
	if len(got) != 200 || got[0].Text != "5" || got[199].Text != "204" || got[0].From != "10699000" || got[0].To != on || got[0].At.IsZero() {
		t.Errorf("%d texts from %q to %q", len(got), got[0].Text, got[len(got)-1].Text)
	}
	stop()
	n.submit(1, on, "after")
	<-n.receipts
	select {
	case <-watch:
		t.Error("told after the watch ended")
	default:
	}
}

// raw speaks PDU by PDU.
type raw struct {
	t    *testing.T
	conn *wire.Conn
}

func dial(t *testing.T, n *country) *raw {
	t.Helper()
	peer, err := net.Dial("tcp", n.centre.Addr())
	if err != nil {
		t.Fatal(err)
	}
	s := &raw{t: t, conn: wire.New(peer)}
	t.Cleanup(s.conn.Close)
	return s
}

func (s *raw) read() pdu.PDU {
	s.t.Helper()
	p, err := s.conn.Read()
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

func (s *raw) ask(p pdu.PDU) pdu.PDU {
	s.t.Helper()
	if err := s.conn.Send(p); err != nil {
		s.t.Fatal(err)
	}
	return s.read()
}

func (s *raw) ended() {
	s.t.Helper()
	if p, err := s.conn.Read(); err == nil {
		s.t.Fatalf("still there: %T", p)
	}
}

func (s *raw) bind(as pdu.BindingType, id, password string) {
	s.t.Helper()
	if status := s.ask(bindRequest(as, id, password)).GetHeader().CommandStatus; status != data.ESME_ROK {
		s.t.Fatalf("bind: %v", status)
	}
}

func (s *raw) submit(to string) string {
	s.t.Helper()
	answer, ok := s.ask(submitTo(to)).(*pdu.SubmitSMResp)
	if !ok || answer.CommandStatus != data.ESME_ROK {
		s.t.Fatalf("%+v", answer)
	}
	return answer.MessageID
}

func bindRequest(as pdu.BindingType, id, password string) *pdu.BindRequest {
	p := pdu.NewBindRequest(as)
	p.SystemID, p.Password = id, password
	return p
}

func submitTo(to string) *pdu.SubmitSM {
	p := pdu.NewSubmitSM().(*pdu.SubmitSM)
	_ = p.DestAddr.SetAddress(to)
	p.RegisteredDelivery = 1
	return p
}
