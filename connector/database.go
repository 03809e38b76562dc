package connector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"untether/internal/phone"
	"untether/internal/tenure"
)

// Database is an app's own accounts, asked by phone number.
type Database interface {
	// Bindings returns every account that is tied to any of the numbers (E.164 with a plus sign, distinct, BatchMax at
	// most), in any order: one Binding for each account and number, none for a number that no account has. It may be
	// called by several goroutines at once.
	//
	// An error means that nothing was learnt, and the batch is tried again. An *UnreadableError means that the returned
	// bindings are good but for the numbers that it names; those are left unanswered.
	Bindings(ctx context.Context, phoneNumbers []string) ([]Binding, error)
}

// Binding is one account's tie to a number.
type Binding struct {
	PhoneNumber string  // as it was asked for
	Account     string  // optional: the app's own name of the account; not sent when counting
	VerifiedAt  Instant // when the app last saw a proof that the account's owner holds the number
	// RegisteredAt is when the account was registered with the number; it serves when VerifiedAt is not known.
	RegisteredAt Instant
}

// Instant is a point in time, or a day when the app keeps nothing finer. The zero Instant is: not known.
type Instant struct {
	Time    time.Time
	DayOnly bool // Time is any instant of the day, in the location whose day it is
}

// IsZero tells whether the instant is not known.
func (i Instant) IsZero() bool { return i.Time.IsZero() }

func (i Instant) mark() tenure.Mark {
	switch {
	case i.IsZero():
		return tenure.Mark{}
	case i.DayOnly:
		return tenure.Day(i.Time)
	}
	return tenure.Instant(i.Time)
}

func (b Binding) judged() tenure.Binding {
	return tenure.Binding{Verified: b.VerifiedAt.mark(), Registered: b.RegisteredAt.mark()}
}

// String masks the number and leaves the account out, so that a printed Binding reveals nobody.
func (b Binding) String() string {
	return fmt.Sprintf("binding of %s", masked(b.PhoneNumber))
}

// GoString is String, for %#v.
func (b Binding) GoString() string { return b.String() }

// LogValue is String, for slog.
func (b Binding) LogValue() slog.Value { return slog.StringValue(b.String()) }

// ErrNotAsked is a database's answer that holds a number nobody asked for: the query does not do what it should.
var ErrNotAsked = errors.New("the query returned a phone number that was not asked for; " +
	"it must filter by $1, and numberFormat must be how the table writes numbers")

// UnreadableError names the numbers whose rows cannot be read, with the cause of each.
type UnreadableError struct {
	Causes map[string]error // by phone number as asked for
}

// Error gives how many there are and one cause, and no number.
func (e *UnreadableError) Error() string {
	for _, n := range slices.Sorted(maps.Keys(e.Causes)) {
		return fmt.Sprintf("the rows of %d numbers cannot be read: %v", len(e.Causes), e.Causes[n])
	}
	return "no number's rows are unreadable"
}

func (e *UnreadableError) add(number string, cause error) {
	if e.Causes == nil {
		e.Causes = map[string]error{}
	}
	if _, ok := e.Causes[number]; !ok {
		e.Causes[number] = cause
	}
}

// masked is a number as it may be shown; anything else becomes stars.
func masked(e164 string) string {
	n, err := phone.Parse(e164)
	if err != nil {
		return "****"
	}
	return n.Masked()
}
