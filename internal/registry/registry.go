// Package registry knows who holds a number, as far as its carriers have reported. An accepted event is stored once, whatever
// comes twice or late; a number's life is the fold of all its events (package tenure). What cannot fit is kept aside with the
// reason and tried again whenever another event of that number arrives. When a tenure ends, everything open in it becomes
// void in the same transaction.
package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"untether/internal/audit"
	"untether/internal/clock"
	"untether/internal/fault"
	"untether/internal/keys"
	"untether/internal/phone"
	"untether/internal/tenure"
)

// BatchMax bounds the events of one report.
const BatchMax = 10_000

// chunk is how many events share a transaction, so that a large report does not keep others from writing.
const chunk = 500

// Event is a carrier's event as it is stored.
type Event struct {
	tenure.Event
	Subject string
	Aside   string // why it could not be applied; empty: it was
}

// Life is the fold of a number's events as it is stored.
type Life struct {
	Subject string
	tenure.Life
	Ended []string // ids of ended tenures, oldest first
}

// Tx is what the registry needs of the storage, inside one transaction.
type Tx interface {
	audit.Tx
	// LockLives gives the lives of numbers (unknown ones the first time), in order, and keeps others from them until the
	// transaction ends. subjects are sorted and differ.
	LockLives(ctx context.Context, subjects []string) ([]Life, error)
	SaveLives(ctx context.Context, lives []Life) error
	// FindLife gives a number's life, or false.
	FindLife(ctx context.Context, subject string) (Life, bool, error)
	// AddEvents stores events that are new by carrier and sequence, and tells which were.
	AddEvents(ctx context.Context, events []Event) (fresh []bool, err error)
	// EventsOf gives all events of each number.
	EventsOf(ctx context.Context, subjects []string) ([][]Event, error)
	// SaveAsides stores the Aside of events.
	SaveAsides(ctx context.Context, events []Event) error
	// MoveMark notes that a carrier has reported everything up to an instant; it never moves back.
	MoveMark(ctx context.Context, carrier string, asOf time.Time) error
	// EndTenure makes everything open void that is about the tenure of the number, or about a code sent to it before at, and
	// tells how many searches that were. An empty id means whichever tenure it was in which things began before at.
	EndTenure(ctx context.Context, subject, tenureID string, at time.Time) (searches int, err error)
}

// Store runs transactions.
type Store interface {
	Registry(ctx context.Context, fn func(context.Context, Tx) error) error
	ReadRegistry(ctx context.Context, fn func(context.Context, Tx) error) error
}

// Carrier is a carrier by its block of numbers.
type Carrier struct {
	ID       string
	Prefixes []string // of E.164 numbers, with the plus sign
}

// Registry takes events and answers who serves a number.
type Registry struct {
	Store    Store
	Keys     *keys.Ring
	Clock    clock.Clock
	Carriers []Carrier
	Freeze   time.Duration // how long a number rests; zero: tenure.FreezeDefault
}

// Reported is one event as a carrier sends it.
type Reported struct {
	Sequence  int64
	Number    phone.Number
	Type      tenure.Type
	At        time.Time
	TenureID  string
	Receiving string
}

// Status is what became of a reported event.
type Status string

// The statuses.
const (
	Applied        Status = "applied"
	AlreadyApplied Status = "alreadyApplied"
	KeptAside      Status = "keptAside"
)

// Verdict answers one reported event.
type Verdict struct {
	Sequence int64
	Status   Status
	Code     string // for keptAside: NOT_YOUR_NUMBER, DOES_NOT_FIT; for applied: the rule that it broke, if it did
	Reason   string
}

// errNotYours is the reason for an event of a number that the carrier neither owns nor received by porting.
var errNotYours = errors.New("the number is not the reporting carrier's")

// errSequenceUsed is the reason for an event that is not taken, because what came before it under its number was another one.
var errSequenceUsed = errors.New("the sequence number was used for another event")

// Owner gives the carrier that owns a number's block, by the longest prefix; empty: none here does.
func (r *Registry) Owner(n phone.Number) string {
	owner, longest := "", 0
	for _, c := range r.Carriers {
		for _, p := range c.Prefixes {
			if len(p) > longest && strings.HasPrefix(n.E164(), p) {
				owner, longest = c.ID, len(p)
			}
		}
	}
	return owner
}

// Serving gives the carrier that serves a number: the one it was ported to, else the owner of its block; empty: none here.
func (r *Registry) Serving(ctx context.Context, n phone.Number) (string, error) {
	serving := r.Owner(n)
	err := r.Store.ReadRegistry(ctx, func(ctx context.Context, tx Tx) error {
		life, ok, err := tx.FindLife(ctx, r.Keys.Subject(n))
		if ok && life.State == tenure.InService && life.Carrier != "" {
			serving = life.Carrier
		}
		return err
	})
	return serving, err
}

// Take stores a carrier's events and applies what fits. asOf, when given, says that the carrier has nothing else up to then.
func (r *Registry) Take(ctx context.Context, carrier string, events []Reported, asOf time.Time) ([]Verdict, error) {
	if len(events) > BatchMax {
		return nil, fault.Invalidf("events must hold at most %d.", BatchMax)
	}
	now := r.Clock.Now()
	if asOf.After(now.Add(time.Minute)) {
		return nil, fault.Invalidf("asOf must not lie in the future.")
	}
	verdicts := make([]Verdict, 0, len(events))
	for part := range slices.Chunk(events, chunk) {
		got, err := r.takeChunk(ctx, carrier, part)
		if err != nil {
			return nil, err
		}
		verdicts = append(verdicts, got...)
	}
	if asOf.IsZero() && len(events) == 0 { // a heartbeat
		asOf = now
	}
	if asOf.IsZero() {
		return verdicts, nil
	}
	return verdicts, r.Store.Registry(ctx, func(ctx context.Context, tx Tx) error { return tx.MoveMark(ctx, carrier, asOf) })
}

func (r *Registry) takeChunk(ctx context.Context, carrier string, reported []Reported) ([]Verdict, error) {
	events := make([]Event, len(reported))
	owners := map[string]string{}
	for i, e := range reported {
		events[i] = Event{Subject: r.Keys.Subject(e.Number), Event: tenure.Event{Carrier: carrier, Sequence: e.Sequence, Type: e.Type,
			At: e.At, TenureID: e.TenureID, Receiving: e.Receiving}}
		owners[events[i].Subject] = r.Owner(e.Number)
	}
	var verdicts []Verdict
	err := r.Store.Registry(ctx, func(ctx context.Context, tx Tx) (err error) {
		verdicts, err = r.apply(ctx, tx, carrier, events, owners)
		return err
	})
	return verdicts, err
}

// apply folds the numbers of the events anew and keeps what changed.
func (r *Registry) apply(ctx context.Context, tx Tx, carrier string, events []Event, owners map[string]string) ([]Verdict, error) {
	subjects := make([]string, 0, len(owners))
	for s := range owners {
		subjects = append(subjects, s)
	}
	slices.Sort(subjects)
	before, err := tx.LockLives(ctx, subjects)
	if err != nil {
		return nil, err
	}
	fresh, err := tx.AddEvents(ctx, events)
	if err != nil {
		return nil, err
	}
	all, err := tx.EventsOf(ctx, subjects)
	if err != nil {
		return nil, err
	}
	var lives []Life
	var changed []Event
	asides := map[int64]string{}        // of this carrier's events, by sequence
	breaches := map[int64]tenure.Rule{} // the same
	for i, subject := range subjects {
		life, folded := r.fold(subject, owners[subject], all[i])
		lives = append(lives, life)
		for j, e := range folded {
			if e.Aside != all[i][j].Aside {
				changed = append(changed, e)
			}
			if e.Carrier == carrier {
				asides[e.Sequence] = e.Aside
			}
		}
		for _, b := range life.Breaches {
			if b.Event.Carrier == carrier {
				breaches[b.Event.Sequence] = b.Rule
			}
		}
		if err := r.ended(ctx, tx, carrier, before[i], life); err != nil {
			return nil, err
		}
	}
	if err := tx.SaveAsides(ctx, changed); err != nil {
		return nil, err
	}
	if err := tx.SaveLives(ctx, lives); err != nil {
		return nil, err
	}
	verdicts := verdictsOf(events, fresh, asides, breaches)
	for i, e := range events {
		if of, _ := slices.BinarySearch(subjects, e.Subject); !fresh[i] && !stored(e, all[of]) {
			verdicts[i] = Verdict{Sequence: e.Sequence, Status: KeptAside, Code: "DOES_NOT_FIT", Reason: errSequenceUsed.Error()}
		}
	}
	return verdicts, r.note(ctx, tx, carrier, events, fresh)
}

// stored tells whether an event that is not new is the very one that the number has under its sequence number.
func stored(e Event, of []Event) bool {
	return slices.ContainsFunc(of, func(o Event) bool {
		return o.Carrier == e.Carrier && o.Sequence == e.Sequence && o.Type == e.Type && o.At.UnixMicro() == e.At.UnixMicro() &&
			o.TenureID == e.TenureID && o.Receiving == e.Receiving
	})
}

// fold replays the events that their carriers were entitled to report.
func (r *Registry) fold(subject, owner string, events []Event) (Life, []Event) {
	freeze := r.Freeze
	if freeze == 0 {
		freeze = tenure.FreezeDefault
	}
	folded := slices.Clone(events)
	var taken []tenure.Event
	for i, may := range entitled(events, owner, freeze) {
		if folded[i].Aside = errNotYours.Error(); may {
			folded[i].Aside = ""
			taken = append(taken, events[i].Event)
		}
	}
	life, aside := tenure.Fold(taken, freeze)
	for _, a := range aside {
		i := slices.IndexFunc(folded, func(e Event) bool { return e.Carrier == a.Event.Carrier && e.Sequence == a.Event.Sequence })
		folded[i].Aside = a.Why.Error()
	}
	ended := make([]string, len(life.Past))
	for i, p := range life.Past {
		ended[i] = p.ID
	}
	return Life{Subject: subject, Life: life, Ended: ended}, folded
}

// entitled tells of each event whether its carrier spoke for the number at its place among the others: the carrier that
// served the number then, or, while nobody holds it, the owner of its block too. A number passes to another carrier only by
// the word of the one that serves it, so that no carrier can take a number by saying that it was ported to it.
func entitled(events []Event, owner string, freeze time.Duration) []bool {
	order := make([]int, len(events))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		a, b := events[i], events[j]
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Sequence, b.Sequence), cmp.Compare(a.Carrier, b.Carrier))
	})
	may := make([]bool, len(events))
	serving, life := owner, tenure.Life{State: tenure.Unknown}
	for _, i := range order {
		e := events[i].Event
		may[i] = e.Carrier != "" && (e.Carrier == serving || e.Carrier == owner && life.State != tenure.InService)
		if !may[i] {
			continue
		}
		next, err := life.Apply(e, freeze)
		switch {
		case err == nil && next.State == tenure.OnShelf:
			life, serving = next, owner
		case err == nil:
			life, serving = next, next.Carrier
		case e.Type == tenure.Ported && life.State == tenure.Unknown && e.Receiving != "":
			serving = e.Receiving // of a number that was in service before anything was reported
		}
	}
	return may
}

// ended makes void what was open in the tenures that these events ended.
func (r *Registry) ended(ctx context.Context, tx Tx, carrier string, before, after Life) error {
	if before.State == tenure.Unknown {
		return r.firstHeard(ctx, tx, carrier, after)
	}
	for _, past := range after.Past {
		if slices.Contains(before.Ended, past.ID) || past.ID == "" && !past.End.After(before.Since) {
			continue // known before; one without a name, by when it ended
		}
		searches, err := tx.EndTenure(ctx, after.Subject, past.ID, past.End)
		if err != nil {
			return err
		}
		err = tx.AddAudit(ctx, audit.Entry{At: r.Clock.Now(), Actor: "carrier:" + carrier, Action: "tenure.ended", Subject: after.Subject,
			Ref: past.ID, Detail: fmt.Sprintf(`{"voidSearches":%d}`, searches)})
		if err != nil {
			return err
		}
	}
	return nil
}

// firstHeard makes void what is open of a number of which nothing had been reported: it may have been searched all the same,
// in a tenure that only the carrier's identity match named. Whichever that was, it ended when the present one began, or, when
// nobody holds the number, by now.
func (r *Registry) firstHeard(ctx context.Context, tx Tx, carrier string, life Life) error {
	now := r.Clock.Now()
	if life.State == tenure.Unknown {
		return nil
	}
	at := now
	if life.State == tenure.InService {
		at = life.Tenure.Start
	}
	searches, err := tx.EndTenure(ctx, life.Subject, "", at)
	if err != nil || searches == 0 && len(life.Past) == 0 {
		return err
	}
	return tx.AddAudit(ctx, audit.Entry{At: now, Actor: "carrier:" + carrier, Action: "tenure.ended", Subject: life.Subject,
		Ref: strings.Join(life.Ended, " "), Detail: fmt.Sprintf(`{"voidSearches":%d}`, searches)})
}

// note tells the trail of the batch.
func (r *Registry) note(ctx context.Context, tx Tx, carrier string, events []Event, fresh []bool) error {
	first, last, n := int64(0), int64(0), 0
	for i, e := range events {
		if !fresh[i] {
			continue
		}
		if n == 0 {
			first = e.Sequence
		}
		last, n = e.Sequence, n+1
	}
	if n == 0 {
		return nil
	}
	return tx.AddAudit(ctx, audit.Entry{At: r.Clock.Now(), Actor: "carrier:" + carrier, Action: "events.taken",
		Detail: fmt.Sprintf(`{"first":%d,"last":%d,"new":%d}`, first, last, n)})
}

// breached is what a carrier is told of an event that was applied although it broke a rule.
var breached = map[tenure.Rule]struct{ code, reason string }{
	tenure.FreezeCutShort: {"FREEZE_CUT_SHORT", "the number had not rested as long as it must"},
	tenure.NeverReleased:  {"NEVER_RELEASED", "the number was activated out of the freeze without a release"},
}

func verdictsOf(events []Event, fresh []bool, asides map[int64]string, breaches map[int64]tenure.Rule) []Verdict {
	verdicts := make([]Verdict, len(events))
	for i, e := range events {
		v := Verdict{Sequence: e.Sequence, Status: Applied}
		if b, ok := breached[breaches[e.Sequence]]; ok {
			v.Code, v.Reason = b.code, b.reason
		}
		switch why := asides[e.Sequence]; {
		case why == errNotYours.Error():
			v.Status, v.Code, v.Reason = KeptAside, "NOT_YOUR_NUMBER", why
		case why != "":
			v.Status, v.Code, v.Reason = KeptAside, "DOES_NOT_FIT", why
		case !fresh[i]:
			v.Status = AlreadyApplied
		}
		verdicts[i] = v
	}
	return verdicts
}
