package centre

import (
	"context"
	"crypto/subtle"
	"errors"
	"strings"

	"github.com/linxGnu/gosmpp/data"
	"github.com/linxGnu/gosmpp/pdu"

	"untether/internal/clock"
	"untether/internal/sms/wire"
)

// session is one connection. Its reader owns everything but what belongs to the account.
type session struct {
	centre    *Centre
	conn      *wire.Conn
	account   *account // nil until bound
	bound     context.CancelFunc
	transmits bool
	receives  bool
	malformed int

	// Guarded by account.mu.
	sequence   int32
	unanswered map[int32]*pdu.DeliverSM
}

func newSession(c *Centre, conn *wire.Conn) *session {
	return &session{centre: c, conn: conn, unanswered: map[int32]*pdu.DeliverSM{}}
}

// serve reads until the connection ends.
func (s *session) serve() {
	defer s.leave()
	unbound, bound := context.WithCancel(context.Background())
	defer bound()
	s.bound = bound
	c := s.centre.options.Clock
	s.centre.running.Go(func() {
		if clock.Wait(unbound, c, c.Now().Add(bindTimeout)) == nil {
			s.conn.Close()
		}
	})
	for s.next() {
	}
}

// next deals with one PDU; false ends the connection.
func (s *session) next() bool {
	p, err := s.conn.Read()
	var bad *wire.Malformed
	if errors.As(err, &bad) {
		return s.refuse(bad)
	}
	if err != nil {
		s.conn.Close()
		return false
	}
	return s.take(p)
}

// refuse answers what cannot be understood; a stranger who goes on like that is cut off.
func (s *session) refuse(bad *wire.Malformed) bool {
	if !bad.Answer {
		_ = s.conn.Send(bad.Nack())
	}
	s.malformed++
	if bad.Fatal || s.malformed > malformedMax {
		s.conn.Finish()
		return false
	}
	return true
}

func (s *session) take(p pdu.PDU) bool {
	switch p := p.(type) {
	case *pdu.BindRequest:
		return s.bind(p)
	case *pdu.EnquireLink:
		_ = s.conn.Send(p.GetResponse())
	case *pdu.Unbind:
		_ = s.conn.Send(p.GetResponse())
		s.conn.Finish()
		return false
	case *pdu.SubmitSM:
		s.submit(p)
	case *pdu.DeliverSMResp:
		if s.account != nil {
			s.account.answered(s, p.SequenceNumber)
		}
	default:
		if p.CanResponse() {
			return s.refuse(&wire.Malformed{Sequence: p.GetSequenceNumber(), Status: data.ESME_RINVCMDID})
		}
	}
	return true
}

func (s *session) bind(p *pdu.BindRequest) bool {
	answer := pdu.NewBindResp(*p)
	answer.SystemID = "sandbox"
	if s.account != nil {
		answer.CommandStatus = data.ESME_RALYBND
		return s.conn.Send(answer) == nil
	}
	a, ok := s.centre.accounts[p.SystemID]
	if !ok || subtle.ConstantTimeCompare([]byte(a.password), []byte(p.Password)) != 1 {
		answer.CommandStatus = data.ESME_RBINDFAIL
		_ = s.conn.Send(answer)
		s.conn.Finish()
		return false
	}
	s.bound()
	s.transmits, s.receives = p.BindingType != pdu.Receiver, p.BindingType != pdu.Transmitter
	s.account = a
	_ = s.conn.Send(answer)
	if s.receives {
		a.join(s)
	}
	return true
}

func (s *session) leave() {
	if s.account != nil && s.receives {
		s.account.leave(s)
	}
}

// submit answers a submit_sm and, once it is taken, delivers what is complete.
func (s *session) submit(p *pdu.SubmitSM) {
	answer := p.GetResponse().(*pdu.SubmitSMResp)
	if answer.CommandStatus = s.judge(p); answer.CommandStatus != data.ESME_ROK {
		_ = s.conn.Send(answer)
		return
	}
	answer.MessageID = s.centre.nextID()
	_ = s.conn.Send(answer)
	s.centre.take(s.account, answer.MessageID, p)
}

const digitsMin, digitsMax = 5, 15

func (s *session) judge(p *pdu.SubmitSM) data.CommandStatusType {
	to := strings.TrimPrefix(p.DestAddr.Address(), "+")
	switch {
	case !s.transmits:
		return data.ESME_RINVBNDSTS
	case s.centre.spendThrottle():
		return data.ESME_RTHROTTLED
	case len(to) < digitsMin || len(to) > digitsMax || strings.Trim(to, "0123456789") != "":
		return data.ESME_RINVDSTADR
	default:
		return data.ESME_ROK
	}
}
