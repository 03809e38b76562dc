package tenure

import (
	"testing"
	"time"
)

var shanghai = time.FixedZone("CST", 8*3600)

func at(day, hour int) time.Time { return time.Date(2026, 3, day, hour, 0, 0, 0, shanghai) }

func TestJudge(t *testing.T) {
	start := at(10, 12)
	for name, c := range map[string]struct {
		b    Binding
		want Standing
	}{
		"verified a moment before":              {Binding{Verified: Instant(start.Add(-1))}, Left},
		"verified at the very start":            {Binding{Verified: Instant(start)}, Own},
		"verified after":                        {Binding{Verified: Instant(at(11, 0))}, Own},
		"verified after, registered before":     {Binding{Verified: Instant(at(11, 0)), Registered: Instant(at(1, 0))}, Own},
		"verified before, registered after":     {Binding{Verified: Instant(at(1, 0)), Registered: Instant(at(11, 0))}, Left},
		"registered before, never verified":     {Binding{Registered: Instant(at(1, 0))}, Left},
		"registered after, never verified":      {Binding{Registered: Instant(at(11, 0))}, Own},
		"neither":                               {Binding{}, Undated},
		"day before":                            {Binding{Verified: Day(at(9, 23))}, Left},
		"the very day":                          {Binding{Verified: Day(at(10, 1))}, InDoubt},
		"day after":                             {Binding{Verified: Day(at(11, 1))}, Own},
		"the very day in another zone, earlier": {Binding{Verified: Day(time.Date(2026, 3, 9, 12, 0, 0, 0, time.UTC))}, Left},
		"the very day in another zone":          {Binding{Verified: Day(time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC))}, InDoubt},
	} {
		if got := Judge(c.b, start); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	if got := Judge(Binding{Verified: Day(at(10, 5))}, at(10, 0)); got != Own {
		t.Errorf("a tenure that begins at midnight leaves no doubt about its first day: %v", got)
	}
}
