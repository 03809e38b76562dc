package centre

import (
	"log/slog"
	"slices"
	"sync"

	"github.com/linxGnu/gosmpp/pdu"
)

// account is one system id: its connections that receive, and what waits for them. A delivery leaves only when it was
// answered; a lost connection's go back to the front.
type account struct {
	id, password string
	log          *slog.Logger

	mu        sync.Mutex
	receivers []*session
	waiting   []*pdu.DeliverSM
}

// enqueue adds deliveries and sends what can be sent.
func (a *account) enqueue(ps ...*pdu.DeliverSM) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting = append(a.waiting, ps...)
	if over := len(a.waiting) - waitingMax; over > 0 {
		a.log.Warn("deliveries dropped: nobody fetches them", "systemId", a.id, "count", over)
		a.waiting = slices.Delete(a.waiting, 0, over)
	}
	a.pump()
}

func (a *account) join(s *session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.receivers = append(a.receivers, s)
	a.pump()
}

func (a *account) leave(s *session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.receivers = slices.DeleteFunc(a.receivers, func(r *session) bool { return r == s })
	back := make([]*pdu.DeliverSM, 0, len(s.unanswered))
	for _, p := range s.unanswered {
		back = append(back, p)
	}
	slices.SortFunc(back, func(x, y *pdu.DeliverSM) int { return int(x.SequenceNumber) - int(y.SequenceNumber) })
	a.waiting = append(back, a.waiting...)
	a.pump()
}

// answered takes a delivery off the books.
func (a *account) answered(s *session, sequence int32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(s.unanswered, sequence)
	a.pump()
}

// pump sends while a receiver has room. It needs mu.
func (a *account) pump() {
	for len(a.waiting) > 0 {
		s := a.free()
		if s == nil {
			return
		}
		p := a.waiting[0]
		a.waiting = a.waiting[1:]
		s.sequence++
		p.SetSequenceNumber(s.sequence)
		s.unanswered[s.sequence] = p
		_ = s.conn.Send(p) // when it fails, the session ends and its deliveries come back
	}
}

// free is the receiver with the most room, nil when none has any.
func (a *account) free() *session {
	var best *session
	for _, s := range a.receivers {
		if len(s.unanswered) < windowMax && (best == nil || len(s.unanswered) < len(best.unanswered)) {
			best = s
		}
	}
	return best
}
