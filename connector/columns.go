package connector

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The named result columns of an app's query.
const (
	columnPhoneNumber  = "phone_number"
	columnAccount      = "account"
	columnVerifiedAt   = "verified_at"
	columnRegisteredAt = "registered_at"
)

// columns says where in a row the named columns stand; -1 is absent.
type columns struct {
	width                                      int
	phoneNumber, account, verified, registered int
	verifiedKind, registeredKind               columnKind
}

// columnsOf places the names, and says all that is wrong with them at once.
func columnsOf(names, databaseTypes []string) (columns, error) {
	lower := make([]string, len(names))
	var wrong []error
	for i, name := range names {
		lower[i] = strings.ToLower(name)
		switch {
		case !slices.Contains([]string{columnPhoneNumber, columnAccount, columnVerifiedAt, columnRegisteredAt}, lower[i]):
			wrong = append(wrong, fmt.Errorf("the query returns a column %q that is not known; the names are %s, %s, %s and %s",
				clipped(name, 64), columnPhoneNumber, columnVerifiedAt, columnRegisteredAt, columnAccount))
		case slices.Contains(lower[:i], lower[i]):
			wrong = append(wrong, fmt.Errorf("the query returns the column %s twice", lower[i]))
		}
	}
	c := columns{
		width:       len(names),
		phoneNumber: slices.Index(lower, columnPhoneNumber),
		account:     slices.Index(lower, columnAccount),
		verified:    slices.Index(lower, columnVerifiedAt),
		registered:  slices.Index(lower, columnRegisteredAt),
	}
	if c.phoneNumber < 0 {
		wrong = append(wrong, errors.New("the query must return a column phone_number; name it: SELECT mobile AS phone_number"))
	}
	if c.verified < 0 && c.registered < 0 {
		wrong = append(wrong, errors.New("the query must return verified_at or registered_at, or both; "+
			"without a date nothing can be told apart"))
	}
	c.verifiedKind, c.registeredKind = kindAt(databaseTypes, c.verified), kindAt(databaseTypes, c.registered)
	if err := errors.Join(wrong...); err != nil {
		return c, &shapeError{err}
	}
	return c, nil
}

// shapeError is an answer of the query that is not what a connector can read; its text says what to change.
type shapeError struct{ cause error }

func (e *shapeError) Error() string { return e.cause.Error() }
func (e *shapeError) Unwrap() error { return e.cause }

func kindAt(databaseTypes []string, i int) columnKind {
	if i < 0 || i >= len(databaseTypes) {
		return columnExact
	}
	return kindOfColumn(databaseTypes[i])
}

// instants reads the row's two dates.
func (c columns) instants(row []any, zone *time.Location) (verified, registered Instant, err error) {
	if c.verified >= 0 {
		if verified, err = instantOf(row[c.verified], c.verifiedKind, zone); err != nil {
			return verified, registered, fmt.Errorf("%s: %w", columnVerifiedAt, err)
		}
	}
	if c.registered >= 0 {
		if registered, err = instantOf(row[c.registered], c.registeredKind, zone); err != nil {
			return verified, registered, fmt.Errorf("%s: %w", columnRegisteredAt, err)
		}
	}
	return verified, registered, nil
}
