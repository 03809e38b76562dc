package tenure

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

func event(seq int64, typ Type, day int, tenureID string) Event {
	return Event{Carrier: "mobile", Sequence: seq, Type: typ, At: at(1, 0).AddDate(0, 0, day), TenureID: tenureID}
}

// In each state: what every event does.
func TestEveryEventFromEveryState(t *testing.T) {
	lives := map[State][]Event{
		Unknown:   nil,
		InService: {event(1, Activated, 0, "t1")},
		Frozen:    {event(1, Activated, 0, "t1"), event(2, Cancelled, 1, "t1")},
		OnShelf:   {event(1, Activated, 0, "t1"), event(2, Cancelled, 1, "t1"), event(3, Released, 100, "")},
	}
	type result struct {
		state  State
		err    error
		breach int
	}
	want := map[State]map[Type]result{
		Unknown: {Activated: {InService, nil, 0}, Suspended: {Unknown, ErrNotInService, 0}, Resumed: {Unknown, ErrNotInService, 0},
			Ported: {Unknown, ErrNotInService, 0}, Transferred: {InService, nil, 0}, Cancelled: {Frozen, nil, 0},
			Restored: {Unknown, ErrNotFrozen, 0}, Released: {OnShelf, nil, 0}},
		InService: {Activated: {InService, ErrInService, 0}, Suspended: {InService, nil, 0}, Resumed: {InService, ErrNotSuspended, 0},
			Ported: {InService, nil, 0}, Transferred: {InService, nil, 0}, Cancelled: {Frozen, nil, 0},
			Restored: {InService, ErrNotFrozen, 0}, Released: {InService, ErrNotFrozen, 0}},
		Frozen: {Activated: {InService, nil, 1}, Suspended: {Frozen, ErrNotInService, 0}, Resumed: {Frozen, ErrNotInService, 0},
			Ported: {Frozen, ErrNotInService, 0}, Transferred: {Frozen, ErrNotInService, 0}, Cancelled: {Frozen, ErrNotInService, 0},
			Restored: {InService, nil, 0}, Released: {OnShelf, nil, 0}},
		OnShelf: {Activated: {InService, nil, 0}, Suspended: {OnShelf, ErrNotInService, 0}, Resumed: {OnShelf, ErrNotInService, 0},
			Ported: {OnShelf, ErrNotInService, 0}, Transferred: {OnShelf, ErrNotInService, 0}, Cancelled: {OnShelf, ErrNotInService, 0},
			Restored: {OnShelf, ErrNotFrozen, 0}, Released: {OnShelf, ErrNotFrozen, 0}},
	}
	for state, events := range lives {
		life, aside := Fold(events, FreezeDefault)
		if life.State != state || len(aside) != 0 {
			t.Fatalf("%s: folded to %s with %v aside", state, life.State, aside)
		}
		for _, typ := range Types {
			e := event(9, typ, 200, "")
			if typ == Activated || typ == Transferred {
				e.TenureID = "t2"
			}
			if typ == Ported {
				e.Receiving = "unicom"
			}
			next, err := life.Apply(e, FreezeDefault)
			w := want[state][typ]
			if next.State != w.state && !(state == Unknown && w.err != nil) || !errors.Is(err, w.err) || len(next.Breaches) != w.breach {
				t.Errorf("%s + %s: %s, %v, %v", state, typ, next.State, err, next.Breaches)
			}
		}
	}
}

func TestTenures(t *testing.T) {
	life, _ := Fold([]Event{event(1, Activated, 0, "t1"), event(2, Suspended, 1, ""), event(3, Resumed, 2, ""),
		{Carrier: "mobile", Sequence: 4, Type: Ported, At: at(5, 0), Receiving: "unicom"}}, FreezeDefault)
	if life.Tenure.ID != "t1" || !life.Tenure.Start.Equal(at(1, 0)) || life.Carrier != "unicom" || len(life.Past) != 0 {
		t.Errorf("suspension and porting end nothing: %+v", life)
	}
	life, _ = Fold([]Event{event(1, Activated, 0, "t1"), event(2, Transferred, 3, "t2")}, FreezeDefault)
	if life.Tenure.ID != "t2" || !life.Ended("t1") || life.Ended("t2") {
		t.Errorf("a transfer ends one tenure and starts the next: %+v", life)
	}
	life, _ = Fold([]Event{event(1, Activated, 0, "t1"), event(2, Cancelled, 3, "t1"), event(3, Restored, 9, "t1")}, FreezeDefault)
	if life.State != InService || life.Ended("t1") || !life.Tenure.Start.Equal(at(1, 0)) {
		t.Errorf("restored is the same tenure: %+v", life)
	}
	life, _ = Fold([]Event{event(1, Activated, 0, "t1"), event(2, Cancelled, 3, "t1"), event(3, Activated, 9, "t2")}, FreezeDefault)
	if len(life.Breaches) != 2 || life.Tenure.ID != "t2" {
		t.Errorf("reissued within the freeze is a fact and a breach: %+v", life)
	}
}

func TestBoundaryOfTheFreeze(t *testing.T) {
	frozen, _ := Fold([]Event{event(1, Activated, 0, "t1"), event(2, Cancelled, 1, "t1")}, FreezeDefault)
	for day, breaches := range map[int]int{90: 1, 91: 0, 92: 0} {
		life, err := frozen.Apply(event(3, Released, day, ""), FreezeDefault)
		if err != nil || len(life.Breaches) != breaches {
			t.Errorf("released on day %d: %v, %v", day, life.Breaches, err)
		}
	}
}

func TestKeptAside(t *testing.T) {
	_, aside := Fold([]Event{event(1, Activated, 0, "t1"), event(2, Cancelled, 2, "t9")}, FreezeDefault)
	if len(aside) != 1 || !errors.Is(aside[0].Why, ErrOtherTenure) {
		t.Errorf("a cancellation of another tenure cannot fit: %v", aside)
	}
	// Same instant, sequences in the wrong order: what could not be applied first is tried again.
	life, aside := Fold([]Event{event(1, Cancelled, 5, "t2"), event(2, Activated, 5, "t2"), event(3, Released, 0, "")}, FreezeDefault)
	if life.State != Frozen || len(aside) != 0 {
		t.Errorf("%+v, aside %v", life, aside)
	}
}

// Whatever the order of arrival, and however often an event arrives, the life is the same.
func TestFoldDoesNotDependOnArrival(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		var events []Event
		for i := range 2 + rng.IntN(10) {
			e := event(int64(i), Types[rng.IntN(len(Types))], rng.IntN(400), []string{"", "t1", "t2", "t3"}[rng.IntN(4)])
			e.Receiving = []string{"mobile", "unicom"}[rng.IntN(2)]
			events = append(events, e)
		}
		life, aside := Fold(events, FreezeDefault)
		rng.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		again, asideAgain := Fold(events, FreezeDefault)
		if !reflect.DeepEqual(life, again) || !reflect.DeepEqual(aside, asideAgain) {
			t.Fatalf("%v: %+v, then %+v", events, life, again)
		}
		if life.State == InService && life.Tenure.Start.After(at(1, 0).Add(401*24*time.Hour)) {
			t.Fatal("a tenure from the future")
		}
	}
}
