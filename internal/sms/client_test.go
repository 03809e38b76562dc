package sms

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/linxGnu/gosmpp/data"
	"github.com/linxGnu/gosmpp/pdu"

	"untether/internal/clock"
	"untether/internal/phone"
	"untether/internal/sms/wire"
	"untether/internal/texts"
)

// scripted is a centre that does exactly what its test says, to show what a well-behaved one would not do.
type scripted struct {
	t        *testing.T
	listener net.Listener
	conn     *wire.Conn
}

func listen(t *testing.T) *scripted {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return &scripted{t: t, listener: listener}
}

// accept takes the next connection and answers its bind.
func (s *scripted) accept(status data.CommandStatusType) {
	s.t.Helper()
	peer, err := s.listener.Accept()
	if err != nil {
		s.t.Fatal(err)
	}
	s.conn = wire.New(peer)
	s.t.Cleanup(s.conn.Close)
	answer := pdu.NewBindResp(*take[*pdu.BindRequest](s))
	answer.CommandStatus = status
	s.send(answer)
}

func (s *scripted) send(p pdu.PDU) {
	s.t.Helper()
	if err := s.conn.Send(p); err != nil {
		s.t.Fatal(err)
	}
}

// take reads the next PDU, which must be a P.
func take[P pdu.PDU](s *scripted) P {
	s.t.Helper()
	p, err := s.conn.Read()
	got, ok := p.(P)
	if !ok {
		s.t.Fatalf("got %T, %v", p, err)
	}
	return got
}

func (s *scripted) answer(p *pdu.SubmitSM, status data.CommandStatusType, id string) {
	answer := p.GetResponse().(*pdu.SubmitSMResp)
	answer.CommandStatus, answer.MessageID = status, id
	s.send(answer)
}

func recordedAtOnce(_ texts.Receipt, recorded func()) { recorded() }

// start runs a client towards s until the test ends.
func start(t *testing.T, s *scripted, c clock.Clock, config Config, onReceipt func(texts.Receipt, func())) *Client {
	t.Helper()
	config.Address, config.SystemID, config.Password = s.listener.Addr().String(), "hub", "secret"
	config.ReconnectMin, config.ReconnectMax = time.Millisecond, time.Millisecond
	client := New(config, c, slog.New(slog.DiscardHandler), onReceipt, func(_, _, _ string) {})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = client.Run(ctx)
	}()
	t.Cleanup(func() {
		if s.conn != nil {
			s.conn.Close()
		}
		cancel()
		<-ended
	})
	return client
}

func bound(t *testing.T, s *scripted, c clock.Clock, config Config) *Client {
	t.Helper()
	client := start(t, s, c, config, recordedAtOnce)
	s.accept(data.ESME_ROK)
	if err := client.Await(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	return client
}

type result struct {
	ids []string
	err error
}

func submit(client *Client, text string) <-chan result {
	done := make(chan result, 1)
	go func() {
		ids, err := client.Submit(context.Background(), texts.Outgoing{
			Reference: 0x1234, From: "10699000", To: phone.MustParse("+8613812345678"), Text: text,
		})
		done <- result{ids, err}
	}()
	return done
}

func TestSubmitWritesWhatTheStandardAsks(t *testing.T) {
	s := listen(t)
	done := submit(bound(t, s, clock.System{}, Config{SourceTON: 3, SourceNPI: 1}), strings.Repeat("清", 71))
	for i := range 2 {
		p := take[*pdu.SubmitSM](s)
		if p.SourceAddr.Address() != "10699000" || p.SourceAddr.Ton() != 3 || p.DestAddr.Address() != "8613812345678" ||
			p.DestAddr.Ton() != 1 || p.DestAddr.Npi() != 1 || p.RegisteredDelivery != 1 || p.EsmClass != 0x40 {
			t.Errorf("part %d: %+v", i+1, p)
		}
		total, number, reference, ok := p.Message.UDH().GetConcatInfo()
		if !ok || total != 2 || int(number) != i+1 || reference != 0x12^0x34 {
			t.Errorf("part %d is %d of %d, reference %x", i+1, number, total, reference)
		}
		if umr := p.OptionalParameters[pdu.TagUserMessageReference].Data; string(umr) != "\x12\x34" {
			t.Errorf("user_message_reference %x", umr)
		}
		s.answer(p, data.ESME_ROK, string(rune('a'+i)))
	}
	if r := <-done; r.err != nil || strings.Join(r.ids, "") != "ab" {
		t.Fatalf("%+v", r)
	}
}

func TestAnswersInAnyOrder(t *testing.T) {
	s := listen(t)
	client := bound(t, s, clock.System{}, Config{})
	first := submit(client, "1")
	one := take[*pdu.SubmitSM](s)
	second := submit(client, "2")
	two := take[*pdu.SubmitSM](s)
	s.answer(two, data.ESME_ROK, "two")
	if r := <-second; r.err != nil || r.ids[0] != "two" {
		t.Fatalf("%+v", r)
	}
	s.answer(one, data.ESME_ROK, "one")
	if r := <-first; r.err != nil || r.ids[0] != "one" {
		t.Fatalf("%+v", r)
	}
}

func TestFullWindowWaits(t *testing.T) {
	s := listen(t)
	client := bound(t, s, clock.System{}, Config{Window: 1})
	done := submit(client, strings.Repeat("a", 161))
	one := take[*pdu.SubmitSM](s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.Submit(ctx, texts.Outgoing{To: phone.MustParse("+8613812345678"), Text: "x"}); !errors.Is(err, context.Canceled) {
		t.Fatalf("a full window let another in: %v", err)
	}
	s.answer(one, data.ESME_ROK, "1")
	s.answer(take[*pdu.SubmitSM](s), data.ESME_ROK, "2")
	if r := <-done; r.err != nil || len(r.ids) != 2 {
		t.Fatalf("%+v", r)
	}
}

func TestSubmitErrors(t *testing.T) {
	s := listen(t)
	client := bound(t, s, clock.System{}, Config{})
	for _, row := range []struct {
		name   string
		status data.CommandStatusType
		want   error
	}{
		{"invalid destination", data.ESME_RINVDSTADR, texts.ErrRefused},
		{"rejected for good", data.ESME_RX_P_APPN, texts.ErrRefused},
		{"too long for the centre", data.ESME_RINVMSGLEN, texts.ErrRefused},
		{"throttled", data.ESME_RTHROTTLED, ErrLater},
		{"queue full", data.ESME_RMSGQFUL, ErrLater},
		{"source address not allowed", data.ESME_RINVSRCADR, ErrLater},
		{"a vendor's own status", 0x400, ErrLater},
	} {
		t.Run(row.name, func(t *testing.T) {
			done := submit(client, "x")
			s.answer(take[*pdu.SubmitSM](s), row.status, "")
			if r := <-done; !errors.Is(r.err, row.want) || len(r.ids) != 0 {
				t.Errorf("%+v", r)
			}
		})
	}
	t.Run("nacked", func(t *testing.T) {
		done := submit(client, "x")
		bad := wire.Malformed{Sequence: take[*pdu.SubmitSM](s).SequenceNumber, Status: data.ESME_RINVCMDID}
		s.send(bad.Nack())
		if r := <-done; !errors.Is(r.err, ErrLater) {
			t.Errorf("%+v", r)
		}
	})
	t.Run("one part later, one refused, one taken", func(t *testing.T) {
		done := submit(client, strings.Repeat("清", 67*3))
		s.answer(take[*pdu.SubmitSM](s), data.ESME_RTHROTTLED, "")
		s.answer(take[*pdu.SubmitSM](s), data.ESME_RINVDSTADR, "")
		s.answer(take[*pdu.SubmitSM](s), data.ESME_ROK, "3")
		if r := <-done; !errors.Is(r.err, texts.ErrRefused) || len(r.ids) != 1 {
			t.Errorf("%+v", r)
		}
	})
}

func TestLostConnection(t *testing.T) {
	s := listen(t)
	client := bound(t, s, clock.System{}, Config{})
	done := submit(client, "x")
	take[*pdu.SubmitSM](s)
	s.conn.Close()
	if r := <-done; !errors.Is(r.err, ErrUnanswered) {
		t.Fatalf("%+v", r)
	}
	s.accept(data.ESME_ROK)
	if err := client.Await(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	done = submit(client, "x")
	s.answer(take[*pdu.SubmitSM](s), data.ESME_ROK, "1")
	if r := <-done; r.err != nil {
		t.Fatalf("after the reconnect: %+v", r)
	}
}

func TestRefusedBindIsTriedAgain(t *testing.T) {
	s := listen(t)
	client := start(t, s, clock.System{}, Config{}, recordedAtOnce)
	s.accept(data.ESME_RINVPASWD)
	if r := <-submit(client, "x"); !errors.Is(r.err, ErrNotBound) {
		t.Fatalf("%+v", r)
	}
	s.accept(data.ESME_ROK)
	if err := client.Await(t.Context(), true); err != nil {
		t.Fatal(err)
	}
}

func TestAnswerThatNeverComes(t *testing.T) {
	s := listen(t)
	c := &clock.Movable{}
	client := bound(t, s, c, Config{ResponseTimeout: time.Hour, EnquireLink: 100 * time.Hour})
	done := submit(client, "x")
	p := take[*pdu.SubmitSM](s)
	for {
		select {
		case r := <-done:
			if !errors.Is(r.err, ErrUnanswered) {
				t.Fatalf("%+v", r)
			}
			s.answer(p, data.ESME_ROK, "late") // and is passed over
			done = submit(client, "y")
			s.answer(take[*pdu.SubmitSM](s), data.ESME_ROK, "1")
			if r := <-done; r.err != nil || r.ids[0] != "1" {
				t.Fatalf("%+v", r)
			}
			return
		default:
			c.Advance(15 * time.Minute)
			runtime.Gosched()
		}
	}
}

func TestJumpOfTheClockLosesNothing(t *testing.T) {
	s := listen(t)
	c := &clock.Movable{}
	client := bound(t, s, c, Config{ResponseTimeout: time.Hour, EnquireLink: 15 * time.Minute})
	done := submit(client, "x")
	p := take[*pdu.SubmitSM](s)
	c.Advance(48 * time.Hour)
	s.send(take[*pdu.EnquireLink](s).GetResponse()) // so the beat that the jump brought has passed
	s.answer(p, data.ESME_ROK, "1")
	if r := <-done; r.err != nil {
		t.Fatalf("%+v", r)
	}
}

func TestSilentCentreIsLeft(t *testing.T) {
	s := listen(t)
	c := &clock.Movable{}
	client := bound(t, s, c, Config{ResponseTimeout: time.Hour, EnquireLink: time.Hour})
	lost := make(chan error, 1)
	go func() { lost <- client.Await(context.Background(), false) }()
	for {
		select {
		case err := <-lost:
			if err != nil {
				t.Fatal(err)
			}
			take[*pdu.EnquireLink](s) // it was asked first
			return
		default:
			c.Advance(15 * time.Minute)
			runtime.Gosched()
		}
	}
}

func TestReceiptIsAcknowledgedWhenRecorded(t *testing.T) {
	s := listen(t)
	may, got := make(chan func(), 1), make(chan texts.Receipt, 1)
	start(t, s, clock.System{}, Config{}, func(r texts.Receipt, recorded func()) {
		may <- recorded
		got <- r
	})
	s.accept(data.ESME_ROK)
	p := delivery(t, 0x04, appendixB)
	p.SetSequenceNumber(77)
	s.send(p)
	s.send(pdu.NewEnquireLink())
	take[*pdu.EnquireLinkResp](s) // nothing is acknowledged before it
	(<-may)()
	if ack := take[*pdu.DeliverSMResp](s); ack.SequenceNumber != 77 || ack.CommandStatus != data.ESME_ROK {
		t.Errorf("%+v", ack)
	}
	if r := <-got; !r.Delivered || r.At.IsZero() {
		t.Errorf("%+v", r)
	}
}

func TestRunUnbindsAfterTheLastAnswer(t *testing.T) {
	s := listen(t)
	client := New(Config{Address: s.listener.Addr().String()}, clock.System{}, slog.New(slog.DiscardHandler),
		recordedAtOnce, func(_, _, _ string) {})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- client.Run(ctx) }()
	s.accept(data.ESME_ROK)
	if err := client.Await(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	done := submit(client, "x")
	p := take[*pdu.SubmitSM](s)
	cancel()
	if err := client.Await(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	s.answer(p, data.ESME_ROK, "1")
	if r := <-done; r.err != nil {
		t.Fatalf("what was in flight: %+v", r)
	}
	s.send(take[*pdu.Unbind](s).GetResponse())
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func TestCentreUnbinds(t *testing.T) {
	s := listen(t)
	client := bound(t, s, clock.System{}, Config{})
	s.send(pdu.NewUnbind())
	take[*pdu.UnbindResp](s)
	s.accept(data.ESME_ROK)
	if err := client.Await(t.Context(), true); err != nil {
		t.Fatal(err)
	}
}

func TestRubbishFromTheCentre(t *testing.T) {
	s := listen(t)
	client := bound(t, s, clock.System{}, Config{})
	s.send(pdu.NewSubmitSM()) // a request that only clients make
	if nack := take[*pdu.GenericNack](s); nack.CommandStatus != data.ESME_RINVCMDID {
		t.Errorf("%+v", nack)
	}
	done := submit(client, "x")
	s.answer(take[*pdu.SubmitSM](s), data.ESME_ROK, "1")
	if r := <-done; r.err != nil {
		t.Fatalf("%+v", r)
	}
}
