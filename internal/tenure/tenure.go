// Package tenure is the one rule of Untether and the life of a number, as pure functions of values.
//
// A tenure is one person's unbroken holding of a number. A binding is an account's tie to a number, last verified at some
// instant. A binding counts only inside the tenure in which it was last verified: Judge is that comparison, and there is no
// other. Fold turns a number's events into who holds it. Nothing here reads a clock, a database or a network.
package tenure

import "time"

// Tenure is one person's holding of a number: the carrier's name for it and the instant it began.
type Tenure struct {
	ID    string
	Start time.Time
}

// Mark is when something was recorded: an instant, or only a civil day. The zero Mark means not known.
type Mark struct {
	At      time.Time // with DayOnly: the day's first instant, in the location whose day it is
	DayOnly bool
}

// Instant makes a Mark that is exact.
func Instant(t time.Time) Mark { return Mark{At: t} }

// Day makes a Mark of the civil day on which t falls in t's location.
func Day(t time.Time) Mark {
	y, m, d := t.Date()
	return Mark{At: time.Date(y, m, d, 0, 0, 0, 0, t.Location()), DayOnly: true}
}

// IsZero tells whether nothing is known.
func (m Mark) IsZero() bool { return m.At.IsZero() }

// Binding is what an app knows of when an account was tied to a number.
type Binding struct {
	Verified   Mark // the last time the app saw a proof that the account's owner holds the number
	Registered Mark // serves when there is no date of verification
}

// Standing is what a binding is worth in a tenure.
type Standing int

// The standings.
const (
	Undated Standing = iota // no date at all: counted apart, never shown, never cleared without the app's own check
	InDoubt                 // only a day is known, and the tenure began on that very day: treated as Undated
	Left                    // verified before the tenure: someone before left it
	Own                     // verified within the tenure: the present holder's own
)

// String names the standing for logs and test output.
func (s Standing) String() string {
	return [...]string{"undated", "in doubt", "left", "own"}[s]
}

// Judge says what a binding is worth in the tenure that began at start: the one rule.
func Judge(b Binding, start time.Time) Standing {
	m := b.Verified
	if m.IsZero() {
		m = b.Registered
	}
	switch {
	case m.IsZero():
		return Undated
	case !m.DayOnly && m.At.Before(start):
		return Left
	case !m.DayOnly:
		return Own
	case !m.At.AddDate(0, 0, 1).After(start):
		return Left
	case !m.At.Before(start):
		return Own
	default:
		return InDoubt
	}
}
