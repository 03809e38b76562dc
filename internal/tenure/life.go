package tenure

import (
	"cmp"
	"errors"
	"slices"
	"time"
)

// Type is what happened to a number.
type Type string

// The events of a number's life. Only Activated and Transferred start a tenure; only Cancelled and Transferred end one.
const (
	Activated   Type = "activated"   // on shelf → in service, a new tenure
	Cancelled   Type = "cancelled"   // in service → frozen; the tenure ends
	Released    Type = "released"    // frozen → on shelf: it may be sold again
	Restored    Type = "restored"    // frozen → in service: same holder, same tenure
	Suspended   Type = "suspended"   // in service, cannot be reached
	Resumed     Type = "resumed"     // reachable again
	Transferred Type = "transferred" // in service, at once another person's: a new tenure (过户)
	Ported      Type = "ported"      // another carrier, same tenure (携号转网)
)

// Types are all events, in the order of a life.
var Types = []Type{Activated, Suspended, Resumed, Ported, Transferred, Cancelled, Restored, Released}

// State is where a number is in its life.
type State string

// The states. A number of which nothing was ever reported is Unknown: "no" is never answered for it.
const (
	Unknown   State = "unknown"
	OnShelf   State = "onShelf"
	InService State = "inService"
	Frozen    State = "frozen"
)

// Event is one thing that a carrier reports of one number.
type Event struct {
	Carrier   string // who reports
	Sequence  int64  // that carrier's own count; with Carrier it names the event
	Type      Type
	At        time.Time
	TenureID  string // the tenure that begins (activated, transferred) or is meant (all others; may be empty)
	Receiving string // for Ported: the carrier that serves the number from now on
}

// Past is a tenure that ended.
type Past struct {
	Tenure
	End time.Time
}

// Life is the fold of a number's events.
type Life struct {
	State     State
	Suspended bool
	Carrier   string    // who serves the number, or served it last
	Tenure    Tenure    // of the present holder when in service; of the last one when frozen
	Since     time.Time // when the state began
	Past      []Past    // ended tenures, oldest first
	Breaches  []Breach
}

// Breach is a fact that broke a rule. It was applied all the same: a registry that denies what happened is wrong about who
// holds the number.
type Breach struct {
	Event Event
	Rule  Rule
}

// Rule is a promise of carriers that an event can break.
type Rule string

// The rules.
const (
	FreezeCutShort Rule = "freezeCutShort" // released or activated before the freeze was over
	NeverReleased  Rule = "neverReleased"  // activated out of the freeze without a release
)

// FreezeDefault is how long a cancelled number rests in China at the least (电信服务规范 2.1.7).
const FreezeDefault = 90 * 24 * time.Hour

// Why an event cannot be applied where it stands. Such an event is kept aside and tried again as others arrive.
var (
	ErrNotInService  = errors.New("the number is not in service")
	ErrInService     = errors.New("the number is in service already")
	ErrNotFrozen     = errors.New("the number is not frozen")
	ErrOtherTenure   = errors.New("the number is in another tenure")
	ErrNoTenure      = errors.New("the event must name the tenure that begins")
	ErrNoReceiver    = errors.New("the event must name the receiving carrier")
	ErrNotSuspended  = errors.New("the number is not suspended")
	ErrSuspended     = errors.New("the number is suspended already")
	ErrSameCarrier   = errors.New("the number is with that carrier already")
	ErrUnknownType   = errors.New("the event's type is not known")
	ErrTenureIsTaken = errors.New("the tenure's id was used before for this number")
)

// Apply gives the life after e, or why e cannot be applied to it. freeze is how long a number must rest.
func (l Life) Apply(e Event, freeze time.Duration) (Life, error) {
	next := l // shares what is past with l: nothing there is ever changed in place, and appending moves it
	next.Past = slices.Clip(l.Past)
	next.Breaches = slices.Clip(l.Breaches)
	if next.State == "" {
		next.State = Unknown
	}
	err := next.apply(e, freeze)
	if err != nil {
		return l, err
	}
	return next, nil
}

func (l *Life) apply(e Event, freeze time.Duration) error {
	switch e.Type {
	case Activated:
		return l.activate(e, freeze)
	case Transferred:
		return l.transfer(e)
	case Cancelled:
		return l.cancel(e)
	case Released:
		return l.release(e, freeze)
	case Restored:
		return l.restore(e)
	case Suspended, Resumed:
		return l.suspend(e, e.Type == Suspended)
	case Ported:
		return l.port(e)
	}
	return ErrUnknownType
}

func (l *Life) activate(e Event, freeze time.Duration) error {
	switch {
	case l.State == InService:
		return ErrInService
	case e.TenureID == "":
		return ErrNoTenure
	case l.had(e.TenureID):
		return ErrTenureIsTaken
	}
	if l.State == Frozen {
		l.breach(e, NeverReleased)
		l.checkFreeze(e, freeze)
	}
	l.begin(e)
	l.Carrier = e.Carrier
	return nil
}

func (l *Life) transfer(e Event) error {
	switch {
	case l.State == Frozen || l.State == OnShelf:
		return ErrNotInService
	case e.TenureID == "":
		return ErrNoTenure
	case l.had(e.TenureID):
		return ErrTenureIsTaken
	}
	if l.State == InService {
		l.end(e.At)
	} else {
		l.Carrier = e.Carrier
	}
	l.begin(e)
	return nil
}

func (l *Life) cancel(e Event) error {
	switch l.State {
	case InService:
		if !l.means(e) {
			return ErrOtherTenure
		}
		l.end(e.At)
	case Unknown:
		l.Carrier = e.Carrier
		l.Tenure = Tenure{ID: e.TenureID}
		l.end(e.At)
	default:
		return ErrNotInService
	}
	l.State, l.Suspended, l.Since = Frozen, false, e.At
	return nil
}

func (l *Life) release(e Event, freeze time.Duration) error {
	if l.State != Frozen && l.State != Unknown {
		return ErrNotFrozen
	}
	if l.State == Frozen {
		l.checkFreeze(e, freeze)
	}
	l.State, l.Since, l.Tenure, l.Carrier = OnShelf, e.At, Tenure{}, e.Carrier
	return nil
}

func (l *Life) restore(e Event) error {
	if l.State != Frozen {
		return ErrNotFrozen
	}
	if !l.means(e) {
		return ErrOtherTenure
	}
	l.Past = l.Past[:len(l.Past)-1]
	l.State, l.Since = InService, e.At
	return nil
}

func (l *Life) suspend(e Event, to bool) error {
	switch {
	case l.State != InService:
		return ErrNotInService
	case !l.means(e):
		return ErrOtherTenure
	case l.Suspended && to:
		return ErrSuspended
	case !l.Suspended && !to:
		return ErrNotSuspended
	}
	l.Suspended = to
	return nil
}

func (l *Life) port(e Event) error {
	switch {
	case l.State != InService:
		return ErrNotInService
	case !l.means(e):
		return ErrOtherTenure
	case e.Receiving == "":
		return ErrNoReceiver
	case e.Receiving == l.Carrier:
		return ErrSameCarrier
	}
	l.Carrier = e.Receiving
	return nil
}

func (l *Life) begin(e Event) {
	l.Tenure = Tenure{ID: e.TenureID, Start: e.At}
	l.State, l.Suspended, l.Since = InService, false, e.At
}

func (l *Life) end(at time.Time) { l.Past = append(l.Past, Past{l.Tenure, at}) }

func (l *Life) breach(e Event, r Rule) { l.Breaches = append(l.Breaches, Breach{e, r}) }

func (l *Life) checkFreeze(e Event, freeze time.Duration) {
	if e.At.Before(l.Since.Add(freeze)) {
		l.breach(e, FreezeCutShort)
	}
}

// means tells whether e speaks of the tenure that l is in; an event without a tenure id speaks of whichever it is. A tenure
// that began before anything was reported, and ended and was restored without a name, has the first one that it is given.
func (l *Life) means(e Event) bool {
	if l.Tenure.ID == "" {
		l.Tenure.ID = e.TenureID
	}
	return e.TenureID == "" || e.TenureID == l.Tenure.ID
}

func (l *Life) had(tenureID string) bool {
	return l.State != Unknown && l.Tenure.ID == tenureID ||
		slices.ContainsFunc(l.Past, func(p Past) bool { return p.ID == tenureID })
}

// Ended tells whether the tenure is over, as far as l knows.
func (l Life) Ended(tenureID string) bool {
	return slices.ContainsFunc(l.Past, func(p Past) bool { return p.ID == tenureID })
}

// Aside is an event that could not be applied, and why.
type Aside struct {
	Event Event
	Why   error
}

// Fold replays a number's events by (instant, sequence). One that cannot be applied where it stands is kept aside and tried
// again after each that could, so that the result does not depend on the order of arrival. The slice is not changed.
func Fold(events []Event, freeze time.Duration) (Life, []Aside) {
	sorted := slices.Clone(events)
	slices.SortStableFunc(sorted, func(a, b Event) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Sequence, b.Sequence), cmp.Compare(a.Carrier, b.Carrier))
	})
	life := Life{State: Unknown}
	var aside []Aside
	for _, e := range sorted {
		next, err := life.Apply(e, freeze)
		if err != nil {
			aside = append(aside, Aside{e, err})
			continue
		}
		life, aside = next.retry(aside, freeze)
	}
	return life, aside
}

// retry offers the events kept aside to l once more, as often as one of them fits. An event older than what was applied
// last stays aside: it would rewrite what came after it.
func (l Life) retry(aside []Aside, freeze time.Duration) (Life, []Aside) {
	for i, a := range aside {
		if a.Event.At.Before(l.Since) {
			continue
		}
		if next, err := l.Apply(a.Event, freeze); err == nil {
			return next.retry(slices.Delete(slices.Clone(aside), i, i+1), freeze)
		}
	}
	return l, aside
}
