package verification

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// start is an instant with milliseconds, as limits are kept.
var start = time.Date(2026, 3, 4, 5, 6, 7, 891_000_000, time.UTC)

// sentAt makes limits with codes sent at these times after start.
func sentAt(after ...time.Duration) Limits {
	var l Limits
	for _, a := range after {
		l.Sent = append(l.Sent, start.Add(a))
	}
	return l
}

func TestSendWait(t *testing.T) {
	const ms = time.Millisecond
	minutes := func(ms ...int) []time.Duration {
		var ds []time.Duration
		for _, m := range ms {
			ds = append(ds, time.Duration(m)*time.Minute)
		}
		return ds
	}
	fiveAnHour := sentAt(minutes(0, 2, 4, 6, 8)...)
	tenADay := sentAt(minutes(0, 61, 122, 183, 244, 305, 366, 427, 488, 549)...)
	locked := func(until time.Duration, l Limits) Limits {
		l.LockedUntil = start.Add(until)
		return l
	}
	tests := map[string]struct {
		limits Limits
		after  time.Duration
		want   time.Duration
	}{
		"the first":                           {sentAt(), 0, 0},
		"at once again":                       {sentAt(0), 0, time.Minute},
		"a moment before a minute":            {sentAt(0), time.Minute - ms, ms},
		"after a minute":                      {sentAt(0), time.Minute, 0},
		"the fifth in an hour":                {sentAt(minutes(0, 2, 4, 6)...), 8 * time.Minute, 0},
		"the sixth in an hour":                {fiveAnHour, 10 * time.Minute, 50 * time.Minute},
		"a moment before the hour":            {fiveAnHour, time.Hour - ms, ms},
		"when the first is an hour old":       {fiveAnHour, time.Hour, 0},
		"the next waits for the second's":     {sentAt(minutes(0, 2, 4, 6, 8, 60)...), 61 * time.Minute, time.Minute},
		"the tenth in a day":                  {sentAt(minutes(0, 61, 122, 183, 244, 305, 366, 427, 488)...), 549 * time.Minute, 0},
		"the eleventh in a day":               {tenADay, 610 * time.Minute, 24*time.Hour - 610*time.Minute},
		"a moment before the day":             {tenADay, 24*time.Hour - ms, ms},
		"when the first is a day old":         {tenADay, 24 * time.Hour, 0},
		"the longest wait of minute and day":  {sentAt(append(minutes(0, 61, 122, 183, 244, 305, 366, 427, 488), 24*time.Hour-10*time.Second)...), 24*time.Hour - 5*time.Second, 55 * time.Second},
		"locked":                              {locked(time.Hour, sentAt()), 0, time.Hour},
		"a moment before the lock ends":       {locked(time.Hour, sentAt()), time.Hour - ms, ms},
		"when the lock ends":                  {locked(time.Hour, sentAt()), time.Hour, 0},
		"the lock is longer than the minute":  {locked(time.Hour, sentAt(0)), 0, time.Hour},
		"the minute is longer than the lock":  {locked(time.Second, sentAt(0)), 0, time.Minute},
		"a clock that was behind, and is now": {sentAt(time.Hour), 0, time.Hour + time.Minute},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := test.limits.sendWait(start.Add(test.after)); got != test.want {
				t.Errorf("wait %v, want %v", got, test.want)
			}
		})
	}
}

// However requests come, no window ever holds more than it may, and whoever waits as long as told may have one.
func TestWindowsHold(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 0))
		var l Limits
		var sent []time.Time
		now := start
		for range 400 {
			now = now.Add(time.Duration(random.Int64N(int64(40 * time.Minute)))).Truncate(time.Millisecond)
			wait := l.sendWait(now)
			if wait > 0 && random.IntN(2) == 0 {
				now = now.Add(wait)
				wait = l.sendWait(now)
				if wait > 0 {
					t.Fatalf("seed %d: waited as told, and must wait %v more", seed, wait)
				}
			}
			if wait > 0 {
				continue
			}
			l.send(now)
			sent = append(sent, now)
			for _, w := range windows {
				n := 0
				for _, s := range sent {
					if s.After(now.Add(-w.span)) {
						n++
					}
				}
				if n > w.most {
					t.Fatalf("seed %d: %d codes within %v", seed, n, w.span)
				}
			}
			if len(l.Sent) > 10 {
				t.Fatalf("%d times are remembered", len(l.Sent))
			}
		}
	}
}

func TestFailuresInARow(t *testing.T) {
	var l Limits
	for i := 1; i < failuresInARowMax; i++ {
		l.fail(start)
		if l.lockWait(start) > 0 {
			t.Fatalf("locked after %d", i)
		}
	}
	l.fail(start)
	for _, test := range []struct{ after, want time.Duration }{{0, 24 * time.Hour}, {24*time.Hour - 1, 1}, {24 * time.Hour, 0}} {
		if got := l.lockWait(start.Add(test.after)); got != test.want {
			t.Errorf("after %v: wait %v, want %v", test.after, got, test.want)
		}
	}
	l.fail(start.Add(24 * time.Hour))
	if l.Failures != 1 || l.lockWait(start.Add(24*time.Hour)) > 0 {
		t.Errorf("after the lock the row does not begin anew: %+v", l)
	}
}

// Each letter is what happens to an identity try: r reserve, m mismatch, u unanswered, y match, M a minute
// passes, D a day passes.
func TestIDTries(t *testing.T) {
	tests := map[string]struct {
		events string
		wait   time.Duration // of one more reserve
	}{
		"the first":                       {"", 0},
		"after one wrong":                 {"rm", 0},
		"after two wrong":                 {"rmrm", 0},
		"after three wrong":               {"rmrmrm", 24 * time.Hour},
		"a day after three wrong":         {"rmrmrmD", 0},
		"a day later it begins anew":      {"rmrmrmDrmrm", 0},
		"and locks again":                 {"rmrmrmDrmrmrm", 24 * time.Hour},
		"unanswered gives back":           {"rmrmru", 0},
		"unanswered never locks":          {"rururururu", 0},
		"a match forgets":                 {"rmrmryrmrm", 0},
		"three under way":                 {"rrr", time.Minute},
		"three under way, one unanswered": {"rrru", 0},
		"three that nobody ended":         {"rrrM", 0},
		"and three more, all wrong":       {"rrrMrmrmrm", 24 * time.Hour},
		"three in parallel, all wrong":    {"rrrmmm", 24 * time.Hour},
		"parallel ones after a lock":      {"rrrmmmDr", 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var l Limits
			now := start
			for i, e := range test.events {
				switch e {
				case 'r':
					if wait := l.reserveIDTry(now); wait > 0 {
						t.Fatalf("event %d had to wait %v", i, wait)
					}
				case 'm':
					l.idMismatch(now)
				case 'u':
					l.idUnanswered()
				case 'y':
					l.idMatch()
				case 'M':
					now = now.Add(time.Minute)
				case 'D':
					now = now.Add(24 * time.Hour)
				}
			}
			if got := l.reserveIDTry(now); got != test.wait {
				t.Errorf("wait %v, want %v; %+v", got, test.wait, l)
			}
		})
	}
}

func TestRateBoundaries(t *testing.T) {
	r := Rate{Count: 60, Per: time.Minute, Burst: 3}
	var arrival time.Time // a budget that nobody has touched
	for i, test := range []struct{ at, wait time.Duration }{
		{0, 0}, {0, 0}, {0, 0}, // the burst
		{0, time.Second}, {time.Second - 1, 1}, {time.Second, 0}, // one a second
		{time.Second, time.Second}, {time.Hour, 0}, {time.Hour, 0}, {time.Hour, 0}, // the burst again, not more
		{time.Hour, time.Second},
	} {
		next, wait := r.Spend(arrival, start.Add(test.at))
		if wait != test.wait {
			t.Errorf("spending %d: wait %v, want %v", i, wait, test.wait)
		}
		arrival = next
	}
}

// For random rates and requests: in any span no more than the burst and what the span earns is had; a refusal changes
// nothing; who waits as long as told has one; who keeps to the rate is never refused.
func TestRateProperties(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		r := Rate{Count: 1 + random.IntN(1000), Per: time.Duration(1+random.IntN(3600)) * time.Second, Burst: 1 + random.IntN(50)}
		each := r.Per / time.Duration(r.Count)
		t.Run(fmt.Sprintf("seed %d: %v", seed, r), func(t *testing.T) {
			var arrival time.Time
			var had []time.Time
			now := start
			for range 300 {
				now = now.Add(time.Duration(random.Int64N(int64(2 * each))))
				next, wait := r.Spend(arrival, now)
				if wait > 0 {
					if !next.Equal(arrival) && arrival.After(now) {
						t.Fatal("a refusal changed the budget")
					}
					if _, still := r.Spend(arrival, now.Add(wait-1)); still == 0 {
						t.Fatalf("told to wait %v, but less is enough", wait)
					}
					now = now.Add(wait)
					if next, wait = r.Spend(next, now); wait > 0 {
						t.Fatalf("waited as told, and must wait %v more", wait)
					}
				}
				arrival = next
				had = append(had, now)
			}
			for i := range had {
				for j := i; j < len(had); j++ {
					if most := r.Burst + int(had[j].Sub(had[i])/each); j-i+1 > most {
						t.Fatalf("%d within %v, at most %d", j-i+1, had[j].Sub(had[i]), most)
					}
				}
			}
			for range 100 { // at the rate itself
				var wait time.Duration
				now = now.Add(each)
				if arrival, wait = r.Spend(arrival, now); wait > 0 {
					t.Fatalf("refused at the rate itself: wait %v", wait)
				}
			}
		})
	}
}
