package carriers

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"untether/internal/fault"
	"untether/internal/ident"
	"untether/internal/phone"
	"untether/internal/sandbox/people"
	"untether/internal/tenure"
)

// What a carrier says when it will not act. The code is one; the sentence says which rule it keeps.
const refusedCode = "CARRIER_REFUSES"

var (
	errNoCarrier = fault.New(fault.NotFound, "NOT_FOUND", "There is no such carrier in this country.")
	errNoNumber  = fault.New(fault.NotFound, "NOT_FOUND", "The number is in no carrier's block.")
	errNeverHeld = fault.New(fault.Conflict, refusedCode, "Nobody ever held the number: it can only be activated.")
	errPerson    = fault.Invalidf("person goes with activated and transferred only: nobody new comes with the other events.")
	errReceiver  = fault.Invalidf("receivingCarrier goes with ported only.")
	errType      = fault.Invalidf("type must be one of activated, suspended, resumed, ported, transferred, cancelled, restored, released.")
)

// sentences tell a visitor why a carrier would not do it.
var sentences = []struct {
	cause    error
	sentence string
}{
	{tenure.ErrNotInService, "The number is not in service."},
	{tenure.ErrInService, "The number is in service already: somebody holds it."},
	{tenure.ErrNotFrozen, "The number is not frozen."},
	{tenure.ErrNotSuspended, "The number is not suspended."},
	{tenure.ErrSuspended, "The number is suspended already."},
	{tenure.ErrSameCarrier, "The number is with that carrier already."},
}

// Act is what somebody asks of the carrier that serves a number.
type Act struct {
	Number    phone.Number
	Type      tenure.Type
	Person    *Newcomer // for activated and transferred; nil: somebody of the country
	Receiving string    // for ported; empty: the next carrier in the list
	At        time.Time // zero: now. Set only when an act is repeated from a journal
}

// Newcomer is who comes to hold a number.
type Newcomer struct {
	Name     string
	Document ident.Document
}

// Done is what a carrier did, as it reports it.
type Done struct {
	Event  tenure.Event
	Person people.Person // the holder afterwards; zero when nobody holds the number
}

// Act does it and puts the event in the carrier's log for the hub. A carrier that would not do it refuses with a fault of
// kind Conflict.
func (n *Carriers) Act(a Act) (Done, error) {
	if err := a.check(); err != nil {
		return Done{}, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	r, err := n.record(a.Number)
	if err != nil {
		return Done{}, err
	}
	if r.life.State == tenure.Unknown && a.Type != tenure.Activated {
		return Done{}, errNeverHeld
	}
	if a.At.IsZero() {
		a.At = n.clock.Now().In(people.Zone).Truncate(time.Microsecond)
	}
	reporter := n.reporter(r, a.Type)
	event, err := n.compose(a, r, reporter)
	if err != nil {
		return Done{}, err
	}
	life, err := r.life.Apply(event, tenure.FreezeDefault)
	if err := refusal(r.life, life, err); err != nil {
		return Done{}, err
	}
	person := n.apply(r, life, event, a)
	reporter.events = append(reporter.events, entry{a.Number, event})
	reporter.wake()
	return Done{event, person}, nil
}

func (a Act) check() error {
	comes := a.Type == tenure.Activated || a.Type == tenure.Transferred
	switch {
	case !slices.Contains(tenure.Types, a.Type):
		return errType
	case a.Person != nil && !comes:
		return errPerson
	case a.Receiving != "" && a.Type != tenure.Ported:
		return errReceiver
	}
	return nil
}

// record finds a number or opens a page for one that nobody ever had.
func (n *Carriers) record(number phone.Number) (*record, error) {
	if r, ok := n.records[number]; ok {
		return r, nil
	}
	block := n.blockOwner(number)
	if block == nil {
		return nil, errNoNumber
	}
	return &record{block: block, holders: map[string]people.Person{}, life: tenure.Life{State: tenure.Unknown, Carrier: block.ID}}, nil
}

// reporter is who speaks for the number: the carrier that serves it, but the block's owner once it is free again.
func (n *Carriers) reporter(r *record, t tenure.Type) *Carrier {
	if t == tenure.Released || t == tenure.Activated {
		return r.block
	}
	if c := n.carrier(r.life.Carrier); c != nil {
		return c
	}
	return r.block
}

func (n *Carriers) compose(a Act, r *record, reporter *Carrier) (tenure.Event, error) {
	e := tenure.Event{Carrier: reporter.ID, Sequence: reporter.next(), Type: a.Type, At: a.At}
	switch a.Type {
	case tenure.Activated, tenure.Transferred:
		e.TenureID = fmt.Sprintf("%st-%08d", reporter.ID[:1], n.tenures+1)
	case tenure.Released:
	default:
		e.TenureID = r.life.Tenure.ID
	}
	if a.Type != tenure.Ported {
		return e, nil
	}
	if e.Receiving = a.Receiving; e.Receiving == "" {
		i := slices.Index(n.all, n.carrier(r.life.Carrier))
		e.Receiving = n.all[(i+1)%len(n.all)].ID
	}
	if n.carrier(e.Receiving) == nil {
		return e, errNoCarrier
	}
	return e, nil
}

func (c *Carrier) next() int64 {
	if len(c.events) == 0 {
		return 1
	}
	return c.events[len(c.events)-1].event.Sequence + 1
}

// refusal says why a carrier would not turn before into after. What the rules of tenure only flag as a breach, a carrier
// does not do.
func refusal(before, after tenure.Life, err error) error {
	for _, s := range sentences {
		if errors.Is(err, s.cause) {
			return fault.New(fault.Conflict, refusedCode, s.sentence)
		}
	}
	switch {
	case err != nil:
		return err
	case len(after.Breaches) == len(before.Breaches):
		return nil
	case after.State == tenure.InService:
		return fault.New(fault.Conflict, refusedCode, "The number is frozen: it must be released before it can be activated.")
	}
	over := before.Since.Add(tenure.FreezeDefault).In(people.Zone)
	return fault.New(fault.Conflict, refusedCode, "The freeze is not over: it ends on "+over.Format("2006-01-02 15:04 -07:00")+".")
}

// apply writes the change into the book.
func (n *Carriers) apply(r *record, life tenure.Life, e tenure.Event, a Act) people.Person {
	if _, known := n.records[a.Number]; !known {
		n.records[a.Number] = r
		n.order = append(n.order, a.Number)
	}
	r.life = life
	if e.Type == tenure.Activated || e.Type == tenure.Transferred {
		n.tenures++
		r.holders[e.TenureID] = n.newcomer(a.Person)
		r.simChangedAt = time.Time{}
	}
	if life.State != tenure.InService {
		return people.Person{}
	}
	return r.holders[life.Tenure.ID]
}

// newcomer is the person named, or somebody of the country who takes a further number.
func (n *Carriers) newcomer(named *Newcomer) people.Person {
	if named == nil {
		return n.people[n.tenures*31%len(n.people)]
	}
	language := "zh-CN"
	switch named.Document.Kind() {
	case ident.Passport, ident.ForeignPermanent, ident.ForeignPermanentOld:
		language = "en"
	}
	return people.Person{Name: named.Name, Document: named.Document, Language: language}
}
