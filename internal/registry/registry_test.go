package registry_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"untether/internal/clock"
	"untether/internal/fault"
	"untether/internal/keys"
	"untether/internal/phone"
	"untether/internal/registry"
	"untether/internal/search"
	"untether/internal/store"
	"untether/internal/store/storetest"
	"untether/internal/tenure"
	"untether/internal/verification"
	"untether/internal/words"
	"untether/internal/work"
)

var (
	number = phone.MustParse("+8613800000001")
	day0   = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
)

func day(n int) time.Time { return day0.AddDate(0, 0, n) }

func newRegistry(t testing.TB, db *store.DB) *registry.Registry {
	t.Helper()
	ring, err := keys.New(keys.Generate())
	if err != nil {
		t.Fatal(err)
	}
	return &registry.Registry{Store: db, Keys: ring, Clock: &clock.Movable{}, Carriers: []registry.Carrier{
		{ID: "alpha", Prefixes: []string{"+86138", "+86139"}}, {ID: "beta", Prefixes: []string{"+861395"}}, {ID: "gamma"}}}
}

// ev is an event of the number as a carrier reports it.
func ev(sequence int64, kind tenure.Type, at int, more ...string) registry.Reported {
	e := registry.Reported{Sequence: sequence, Number: number, Type: kind, At: day(at)}
	if len(more) > 0 {
		e.TenureID = more[0]
	}
	if len(more) > 1 {
		e.Receiving = more[1]
	}
	return e
}

// elsewhere is the same of another number.
func elsewhere(e registry.Reported) registry.Reported {
	e.Number = phone.MustParse("+8613800000002")
	return e
}

func take(t *testing.T, r *registry.Registry, carrier string, events ...registry.Reported) []registry.Verdict {
	t.Helper()
	verdicts, err := r.Take(t.Context(), carrier, events, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return verdicts
}

func lifeOf(t *testing.T, r *registry.Registry, n phone.Number) (life registry.Life) {
	t.Helper()
	err := r.Store.ReadRegistry(t.Context(), func(ctx context.Context, tx registry.Tx) (err error) {
		life, _, err = tx.FindLife(ctx, r.Keys.Subject(n))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return life
}

func TestOwner(t *testing.T) {
	r := newRegistry(t, nil)
	for number, want := range map[string]string{"+8613800000001": "alpha", "+8613950000001": "beta", "+8613940000001": "alpha", "+14155550100": "", "+86138": "alpha"} {
		if got := r.Owner(phone.MustParse(number)); got != want {
			t.Errorf("%s… is of %q, want %q", number[:7], got, want)
		}
	}
}

// A step is one report and what is said of it.
type step struct {
	carrier string
	event   registry.Reported
	want    registry.Status
	code    string
}

func TestTake(t *testing.T) {
	const applied, already, aside = registry.Applied, registry.AlreadyApplied, registry.KeptAside
	for name, c := range map[string]struct {
		steps   []step
		state   tenure.State
		tenure  string
		serving string
	}{
		"an event twice is applied once": {[]step{
			{"alpha", ev(1, tenure.Activated, 1, "t1"), applied, ""},
			{"alpha", ev(1, tenure.Activated, 1, "t1"), already, ""}},
			tenure.InService, "t1", "alpha"},
		"a sequence number that is used again": {[]step{
			{"alpha", ev(1, tenure.Activated, 1, "t1"), applied, ""},
			{"alpha", ev(1, tenure.Cancelled, 2, "t1"), aside, "DOES_NOT_FIT"},
			{"alpha", ev(1, tenure.Activated, 1, "t2"), aside, "DOES_NOT_FIT"},
			{"alpha", elsewhere(ev(1, tenure.Activated, 1, "t1")), aside, "DOES_NOT_FIT"}},
			tenure.InService, "t1", "alpha"},
		"what does not fit is kept aside and fits later": {[]step{
			{"alpha", ev(3, tenure.Suspended, 3), aside, "DOES_NOT_FIT"},
			{"alpha", ev(1, tenure.Activated, 1, "t1"), applied, ""},
			{"alpha", ev(3, tenure.Suspended, 3), already, ""}},
			tenure.InService, "t1", "alpha"},
		"another carrier's number": {[]step{
			{"alpha", ev(1, tenure.Activated, 1, "t1"), applied, ""},
			{"beta", ev(1, tenure.Cancelled, 2), aside, "NOT_YOUR_NUMBER"}},
			tenure.InService, "t1", "alpha"},
		"nobody takes a number by saying so": {[]step{
			{"alpha", ev(1, tenure.Activated, 1, "t1"), applied, ""},
			{"beta", ev(1, tenure.Ported, 2, "t1", "beta"), aside, "NOT_YOUR_NUMBER"},
			{"beta", ev(2, tenure.Cancelled, 3, "t1"), aside, "NOT_YOUR_NUMBER"}},
			tenure.InService, "t1", "alpha"},
		"after porting the receiving carrier reports": {[]step{
			{"alpha", ev(1, tenure.Activated, 1, "t1"), applied, ""},
			{"alpha", ev(2, tenure.Ported, 2, "t1", "beta"), applied, ""},
			{"beta", ev(1, tenure.Suspended, 3, "t1"), applied, ""}},
			tenure.InService, "t1", "beta"},
		"and the former one does not, though it may call the porting a disconnection": {[]step{
			{"alpha", ev(1, tenure.Activated, 1, "t1"), applied, ""},
			{"alpha", ev(2, tenure.Ported, 2, "t1", "beta"), applied, ""},
			{"alpha", ev(3, tenure.Cancelled, 3, "t1"), aside, "NOT_YOUR_NUMBER"}},
			tenure.InService, "t1", "beta"},
		"what happened before the porting is still the former one's": {[]step{
			{"alpha", ev(1, tenure.Activated, 1, "t1"), applied, ""},
			{"alpha", ev(3, tenure.Ported, 5, "t1", "beta"), applied, ""},
			{"alpha", ev(2, tenure.Suspended, 3, "t1"), applied, ""}},
			tenure.InService, "t1", "beta"},
		"the receiving carrier's event overtakes the porting": {[]step{
			{"alpha", ev(1, tenure.Activated, 1, "t1"), applied, ""},
			{"beta", ev(1, tenure.Cancelled, 3, "t1"), aside, "NOT_YOUR_NUMBER"},
			{"alpha", ev(2, tenure.Ported, 2, "t1", "beta"), applied, ""}},
			tenure.Frozen, "t1", "alpha"},
		"a release returns the number to its block": {[]step{
			{"alpha", ev(1, tenure.Activated, 1, "t1"), applied, ""},
			{"alpha", ev(2, tenure.Ported, 2, "t1", "beta"), applied, ""},
			{"beta", ev(1, tenure.Cancelled, 3, "t1"), applied, ""},
			{"beta", ev(2, tenure.Released, 100), applied, ""},
			{"beta", ev(3, tenure.Activated, 101, "t2"), aside, "NOT_YOUR_NUMBER"},
			{"alpha", ev(3, tenure.Activated, 102, "t3"), applied, ""}},
			tenure.InService, "t3", "alpha"},
		"the block's owner may release a number that was cancelled elsewhere": {[]step{
			{"alpha", ev(1, tenure.Activated, 1, "t1"), applied, ""},
			{"alpha", ev(2, tenure.Ported, 2, "t1", "beta"), applied, ""},
			{"beta", ev(1, tenure.Cancelled, 3, "t1"), applied, ""},
			{"alpha", ev(3, tenure.Released, 100), applied, ""}},
			tenure.OnShelf, "", "alpha"},
		"ported before anything was known": {[]step{
			{"alpha", ev(1, tenure.Ported, 2, "t1", "beta"), aside, "DOES_NOT_FIT"},
			{"beta", ev(1, tenure.Cancelled, 3, "t1"), applied, ""}},
			tenure.Frozen, "t1", "alpha"},
		"a freeze cut short is applied and said": {[]step{
			{"alpha", ev(1, tenure.Activated, 1, "t1"), applied, ""},
			{"alpha", ev(2, tenure.Cancelled, 2, "t1"), applied, ""},
			{"alpha", ev(3, tenure.Released, 91), applied, "FREEZE_CUT_SHORT"}},
			tenure.OnShelf, "", "alpha"},
		"a full freeze": {[]step{
			{"alpha", ev(1, tenure.Cancelled, 2, "t1"), applied, ""},
			{"alpha", ev(2, tenure.Released, 92), applied, ""}},
			tenure.OnShelf, "", "alpha"},
		"activated out of the freeze": {[]step{
			{"alpha", ev(1, tenure.Cancelled, 2, "t1"), applied, ""},
			{"alpha", ev(2, tenure.Activated, 200, "t2"), applied, "NEVER_RELEASED"}},
			tenure.InService, "t2", "alpha"},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, db *store.DB) {
				r := newRegistry(t, db)
				for i, s := range c.steps {
					if v := take(t, r, s.carrier, s.event)[0]; v.Status != s.want || v.Code != s.code || v.Sequence != s.event.Sequence || (v.Code == "") != (v.Reason == "") {
						t.Errorf("step %d: %+v, want %s %s", i, v, s.want, s.code)
					}
				}
				life := lifeOf(t, r, number)
				serving, err := r.Serving(t.Context(), number)
				if life.State != c.state || life.Tenure.ID != c.tenure || serving != c.serving || err != nil {
					t.Errorf("%s in %q served by %q (%v), want %s %q %q", life.State, life.Tenure.ID, serving, err, c.state, c.tenure, c.serving)
				}
			})
		})
	}
}

func TestServing(t *testing.T) {
	r := newRegistry(t, storetest.Open(t))
	for number, want := range map[string]string{"+8613800000007": "alpha", "+14155550100": ""} {
		if got, err := r.Serving(t.Context(), phone.MustParse(number)); got != want || err != nil {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
}

// holdings puts a search, its task, its reply and a code into each of two tenures, and a code of today.
func holdings(t *testing.T, db *store.DB, r *registry.Registry) {
	t.Helper()
	subject := r.Keys.Subject(number)
	err := db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		for i, id := range []string{"t1", "t2"} {
			x := search.Search{Subject: subject, ID: "search-" + id, Tenure: id, TenureStart: day(100 * i), Language: words.En, Status: search.Collecting,
				Apps: []string{"alipay"}, Number: []byte("sealed"), RequestedAt: day(100*i + 50), Deadline: day(100*i + 52)}
			c := verification.Code{Subject: subject, ID: "code-" + id, Number: []byte("sealed"), Status: verification.Open, IssuedAt: day(100*i + 50), ExpiresAt: day(100*i + 51)}
			item := func(ref, lane, about string) work.Item {
				return work.Item{Key: work.Key{Subject: subject, Ref: ref, Lane: lane}, Kind: "k", Tenure: about, Payload: []byte("sealed"), Due: day(0), Deadline: day(900)}
			}
			err := errors.Join(tx.AddSearch(ctx, x), tx.AddCode(ctx, c),
				tx.AddWork(ctx, []work.Item{item(x.ID, work.AppLane("alipay"), id), item(x.ID, work.Texts, id), item(c.ID, work.Texts, "")}))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEndOfATenureVoidsExactlyWhatIsIts(t *testing.T) {
	for name, c := range map[string]struct {
		events []registry.Reported
		void   string // which of the two tenures' holdings
	}{
		"cancelled and sold again": {[]registry.Reported{ev(1, tenure.Activated, 0, "t1"), ev(2, tenure.Cancelled, 60, "t1"), ev(3, tenure.Activated, 90, "t2")}, "t1"},
		"transferred":              {[]registry.Reported{ev(1, tenure.Activated, 0, "t1"), ev(2, tenure.Transferred, 90, "t2")}, "t1"},
		"transferred, first heard": {[]registry.Reported{ev(1, tenure.Transferred, 90, "t2")}, "t1"},
		"activated, first heard":   {[]registry.Reported{ev(1, tenure.Activated, 90, "t2")}, "t1"},
		"activated long ago":       {[]registry.Reported{ev(1, tenure.Activated, 0, "t1")}, ""},
		"suspended and resumed":    {[]registry.Reported{ev(1, tenure.Activated, 0, "t1"), ev(2, tenure.Suspended, 60), ev(3, tenure.Resumed, 61)}, ""},
		"ported":                   {[]registry.Reported{ev(1, tenure.Activated, 0, "t1"), ev(2, tenure.Ported, 60, "t1", "beta")}, ""},
		"cancelled, nothing known": {[]registry.Reported{ev(1, tenure.Cancelled, 300)}, "t1 t2"},
		"refused":                  {[]registry.Reported{ev(1, tenure.Activated, 90, "")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, db *store.DB) {
				r := newRegistry(t, db)
				holdings(t, db, r)
				take(t, r, "alpha", c.events...)
				raw := storetest.SQL(t, db)
				for _, id := range []string{"t1", "t2"} {
					want := 0
					if c.void == id || c.void == "t1 t2" {
						want = 5
					}
					var void int
					err := raw.QueryRow(fmt.Sprintf(`SELECT (SELECT COUNT(*) FROM searches WHERE id = 'search-%[1]s' AND status = 'void')
						+ (SELECT COUNT(*) FROM codes WHERE id = 'code-%[1]s' AND status = 'void')
						+ (SELECT COUNT(*) FROM work WHERE ref IN ('search-%[1]s', 'code-%[1]s') AND state = 'void')`, id)).Scan(&void)
					if err != nil || void != want {
						t.Errorf("%d of the 5 rows of %s are void, want %d (%v)", void, id, want, err)
					}
				}
			})
		})
	}
}

// A tenure that ended ends once: what is begun in the next one is not touched by later reports.
func TestLaterReportsEndNothingAgain(t *testing.T) {
	db := storetest.Open(t)
	r := newRegistry(t, db)
	take(t, r, "alpha", ev(1, tenure.Cancelled, 1), ev(2, tenure.Released, 95), ev(3, tenure.Activated, 99, "t2"))
	holdings(t, db, r)
	take(t, r, "alpha", ev(4, tenure.Suspended, 120), ev(5, tenure.Resumed, 121))
	var void int
	if err := storetest.SQL(t, db).QueryRow(`SELECT COUNT(*) FROM work WHERE state = 'void'`).Scan(&void); err != nil || void != 0 {
		t.Errorf("%d void items, %v", void, err)
	}
}

// A tenure whose id no event ever named ends like any other.
func TestATenureWithoutAName(t *testing.T) {
	for name, last := range map[string]registry.Reported{
		"transferred":                  ev(3, tenure.Transferred, 60, "t2"),
		"cancelled again":              ev(3, tenure.Cancelled, 60),
		"cancelled again, now by name": ev(3, tenure.Cancelled, 60, "t1"),
	} {
		t.Run(name, func(t *testing.T) {
			db := storetest.Open(t)
			r := newRegistry(t, db)
			take(t, r, "alpha", ev(1, tenure.Cancelled, 10), ev(2, tenure.Restored, 20))
			holdings(t, db, r)
			take(t, r, "alpha", last)
			var status string
			if err := storetest.SQL(t, db).QueryRow(`SELECT status FROM searches WHERE id = 'search-t1'`).Scan(&status); err != nil || status != "void" {
				t.Errorf("the search of the tenure that ended is %s, %v", status, err)
			}
		})
	}
}

func TestMark(t *testing.T) {
	db := storetest.Open(t)
	r := newRegistry(t, db)
	now := r.Clock.Now()
	mark := func() (us int64) {
		t.Helper()
		if err := storetest.SQL(t, db).QueryRow(`SELECT COALESCE(MAX(as_of), 0) FROM carrier_marks WHERE carrier = 'alpha'`).Scan(&us); err != nil {
			t.Fatal(err)
		}
		return us
	}
	say := func(asOf time.Time, events ...registry.Reported) error {
		_, err := r.Take(t.Context(), "alpha", events, asOf)
		return err
	}
	if err := say(time.Time{}, ev(1, tenure.Activated, 1, "t1")); err != nil || mark() != 0 {
		t.Errorf("events alone say nothing of completeness: %d, %v", mark(), err)
	}
	if err := say(day(5)); err != nil || mark() != day(5).UnixMicro() {
		t.Errorf("mark %d, %v", mark(), err)
	}
	if err := say(day(3)); err != nil || mark() != day(5).UnixMicro() {
		t.Errorf("the mark moved back: %d, %v", mark(), err)
	}
	if err := say(now.Add(time.Hour)); !fault.Is(err, "INVALID_ARGUMENT") || mark() != day(5).UnixMicro() {
		t.Errorf("a future mark: %d, %v", mark(), err)
	}
	if err := say(time.Time{}); err != nil || mark() < now.UnixMicro() {
		t.Errorf("a heartbeat: %d, %v", mark(), err)
	}
}

func TestLargeBatch(t *testing.T) {
	r := newRegistry(t, storetest.Open(t))
	events := make([]registry.Reported, registry.BatchMax)
	for i := range events {
		e := ev(int64(i+1), tenure.Activated, 1, fmt.Sprint("t", i/2))
		if i%2 == 1 {
			e = ev(int64(i+1), tenure.Cancelled, 2)
		}
		e.Number = phone.MustParse(fmt.Sprintf("+86138%08d", i/2))
		events[i] = e
	}
	for i, v := range take(t, r, "alpha", events...) {
		if v.Status != registry.Applied || v.Sequence != int64(i+1) {
			t.Fatalf("event %d: %+v", i, v)
		}
	}
	if _, err := r.Take(t.Context(), "alpha", append(events, ev(99999, tenure.Activated, 1)), time.Time{}); !fault.Is(err, "INVALID_ARGUMENT") {
		t.Errorf("one too many: %v", err)
	}
}

// However the events arrive, the stored life is the plain fold of them all.
func TestOrderOfArrivalDoesNotMatter(t *testing.T) {
	r := newRegistry(t, storetest.Open(t))
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 7))
		n := phone.MustParse(fmt.Sprintf("+861380001%04d", seed))
		var all []tenure.Event
		if seed%2 == 0 {
			all = anything(rng)
		} else {
			all = orderly(rng)
		}
		for i := range all {
			all[i].Sequence += int64(seed) * 1000 // a carrier's sequence names one event for ever
		}
		want, aside := tenure.Fold(all, tenure.FreezeDefault)
		if seed%2 == 1 && len(aside) > 0 {
			t.Fatalf("seed %d: the generator made what does not fit: %v", seed, aside)
		}
		arriving := append(append([]tenure.Event{}, all...), all[:len(all)/3]...) // some twice
		rng.Shuffle(len(arriving), func(i, j int) { arriving[i], arriving[j] = arriving[j], arriving[i] })
		for _, e := range arriving {
			take(t, r, e.Carrier, registry.Reported{Sequence: e.Sequence, Number: n, Type: e.Type, At: e.At, TenureID: e.TenureID, Receiving: e.Receiving})
		}
		got := lifeOf(t, r, n)
		var ended []string
		for _, p := range want.Past {
			if p.ID != "" {
				ended = append(ended, p.ID)
			}
		}
		if got.State != want.State || got.Suspended != want.Suspended || got.Carrier != want.Carrier || got.Tenure.ID != want.Tenure.ID ||
			!got.Tenure.Start.Equal(want.Tenure.Start) || !got.Since.Equal(want.Since) || len(got.Ended)+len(ended) > 0 && !reflect.DeepEqual(got.Ended, ended) {
			t.Errorf("seed %d: stored %+v, folded %+v", seed, got, want)
		}
	}
}

// anything is events of one carrier without rhyme or reason.
func anything(rng *rand.Rand) []tenure.Event {
	events := make([]tenure.Event, 3+rng.IntN(8))
	for i := range events {
		events[i] = tenure.Event{Carrier: "alpha", Sequence: int64(i + 1), Type: tenure.Types[rng.IntN(len(tenure.Types))], At: day(rng.IntN(400)),
			TenureID: fmt.Sprint("t", rng.IntN(4))}
		if events[i].Type == tenure.Ported {
			events[i].Type = tenure.Suspended
		}
	}
	return events
}

// orderly is a life as carriers lead it, each event reported by whoever serves the number.
func orderly(rng *rand.Rand) []tenure.Event {
	life, events, at := tenure.Life{State: tenure.Unknown, Carrier: "alpha"}, []tenure.Event(nil), 0
	sequence := map[string]int64{}
	for len(events) < 12 {
		at += 1 + rng.IntN(120)
		carrier := life.Carrier
		if life.State != tenure.InService {
			carrier = "alpha"
		}
		e := tenure.Event{Carrier: carrier, Type: tenure.Types[rng.IntN(len(tenure.Types))], At: day(at), TenureID: life.Tenure.ID,
			Receiving: []string{"alpha", "beta", "gamma"}[rng.IntN(3)]}
		if e.Type == tenure.Activated || e.Type == tenure.Transferred {
			e.TenureID = fmt.Sprint("t", at)
		}
		next, err := life.Apply(e, tenure.FreezeDefault)
		if err != nil || life.State == tenure.Unknown && e.Type != tenure.Activated {
			continue
		}
		sequence[carrier]++
		e.Sequence = sequence[carrier]
		life, events = next, append(events, e)
	}
	return events
}
