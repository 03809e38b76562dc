package carriers

import (
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"untether/internal/api/contracttest"
	"untether/internal/clock"
	"untether/internal/fault"
	"untether/internal/phone"
	"untether/internal/sandbox/people"
	"untether/internal/tenure"
)

func open(t *testing.T) *Carriers {
	t.Helper()
	c := &clock.Movable{}
	n, err := Open(Options{Country: people.Make(1, c.Now(), 100), Clock: c, Log: slog.New(slog.DiscardHandler),
		Secret: func(carrier string) string { return "secret of " + carrier }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

// The identity service refuses what its document forbids, and never repeats it.
func TestMalformedIdentityQuestions(t *testing.T) {
	const each = 10_000
	c := open(t).all[0]
	door := contracttest.Validate(t, c.server.Handler)
	for _, op := range contracttest.Operations(t, "carrier-peer.yaml") {
		for q := range contracttest.Malformed(11, each, op) {
			r, w := q.HTTP(), httptest.NewRecorder()
			r.Host = c.address
			if r.Header.Get("Authorization") == "" {
				r.Header.Set("Authorization", "Bearer secret of "+c.ID)
			}
			door.ServeHTTP(w, r)
			if why := q.Check(w); why != "" {
				t.Errorf("%s: %s: %s %.200s %v %.300q", q.Spoilt, why, q.Method, q.Target, q.Header, q.Body)
			}
		}
	}
}

// A refused act leaves neither a trace in the book nor an event to report.
func TestRefusedActsChangeNothing(t *testing.T) {
	n := open(t)
	var frozen phone.Number
	for number, r := range n.records {
		if r.life.State == tenure.Frozen && n.clock.Now().Sub(r.life.Since) < 80*24*time.Hour {
			frozen = number
		}
	}
	if frozen.IsZero() {
		t.Fatal("nobody's number is frozen")
	}
	fresh := phone.MustParse("+8619200000000")
	abroad := phone.MustParse("+4915112345678")
	person := &Newcomer{Name: "李雷", Document: n.people[0].Document}
	for name, c := range map[string]struct {
		act  Act
		code string
	}{
		"sold in the freeze":                 {Act{Number: frozen, Type: tenure.Activated}, refusedCode},
		"released in the freeze":             {Act{Number: frozen, Type: tenure.Released}, refusedCode},
		"ported in the freeze":               {Act{Number: frozen, Type: tenure.Ported}, refusedCode},
		"suspended in the freeze":            {Act{Number: frozen, Type: tenure.Suspended}, refusedCode},
		"cancelled without ever being held":  {Act{Number: fresh, Type: tenure.Cancelled}, refusedCode},
		"released without ever being held":   {Act{Number: fresh, Type: tenure.Released}, refusedCode},
		"transferred before it was held":     {Act{Number: fresh, Type: tenure.Transferred}, refusedCode},
		"a number of nobody's block":         {Act{Number: abroad, Type: tenure.Activated}, "NOT_FOUND"},
		"an unknown type":                    {Act{Number: frozen, Type: "sold"}, "INVALID_ARGUMENT"},
		"a newcomer without a change":        {Act{Number: frozen, Type: tenure.Restored, Person: person}, "INVALID_ARGUMENT"},
		"a receiver without a port":          {Act{Number: frozen, Type: tenure.Restored, Receiving: "unicom"}, "INVALID_ARGUMENT"},
		"a receiver that there is not":       {Act{Number: frozen, Type: tenure.Ported, Receiving: "nobody"}, "NOT_FOUND"},
		"a service number, shorter than all": {Act{Number: phone.MustParse("+8613800"), Type: tenure.Activated}, "NOT_FOUND"},
	} {
		before, numbers := 0, len(n.records)
		for _, k := range n.all {
			before += len(k.events)
		}
		_, err := n.Act(c.act)
		after := 0
		for _, k := range n.all {
			after += len(k.events)
		}
		if !fault.Is(err, c.code) || after != before || len(n.records) != numbers {
			t.Errorf("%s: %v, %d events, were %d", name, err, after, before)
		}
	}
	if done, err := n.Act(Act{Number: frozen, Type: tenure.Restored}); err != nil || done.Person.Name == "" {
		t.Errorf("restored: %v, %v", done, err)
	}
	if done, err := n.Act(Act{Number: fresh, Type: tenure.Activated, Person: person}); err != nil || done.Person.Name != "李雷" || !n.Reachable(fresh) {
		t.Errorf("sold: %v, %v", done, err)
	}
	if _, err := n.Act(Act{Number: fresh, Type: tenure.Suspended}); err != nil || n.Reachable(fresh) {
		t.Errorf("suspended, and still reached: %v", err)
	}
}
