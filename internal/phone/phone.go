// Package phone is a telephone number that cannot be printed by accident. Every ordinary way of showing a Number (fmt,
// JSON, slog, text encoding) gives the masked form; only E164 gives the whole, and a reader can search for its uses.
//
// Parse takes E.164 with a plus sign and nothing else. What people type (spaces, national form) is for package typed.
package phone

import (
	"fmt"
	"io"
	"log/slog"

	"untether/internal/fault"
)

// Number is a phone number in E.164. The zero Number is no number. Numbers compare with ==.
type Number struct{ e164 string }

// Limits of E.164 as the CAMARA APIs write it: ^\+[1-9][0-9]{4,14}$.
const (
	digitsMin = 5
	digitsMax = 15
)

// ErrMalformed is the one answer to anything that is not E.164. It never repeats the input.
var ErrMalformed = fault.New(fault.Invalid, "INVALID_ARGUMENT",
	"phoneNumber must be in E.164 with a plus sign, for example +8613812345678.")

// Parse reads a number in E.164 with its plus sign; anything else is ErrMalformed.
func Parse(s string) (Number, error) {
	if len(s) < digitsMin+1 || len(s) > digitsMax+1 || s[0] != '+' || s[1] == '0' {
		return Number{}, ErrMalformed
	}
	for i := 1; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return Number{}, ErrMalformed
		}
	}
	return Number{s}, nil
}

// MustParse is Parse for numbers that the program itself wrote down; it panics on a malformed one.
func MustParse(s string) Number {
	n, err := Parse(s)
	if err != nil {
		panic("phone: malformed number in the program")
	}
	return n
}

// E164 gives the whole number, for a wire or a vault. Never for a log, an error or a page.
func (n Number) E164() string { return n.e164 }

// IsZero tells whether there is no number.
func (n Number) IsZero() bool { return n.e164 == "" }

// Masked keeps the country's first digits and the last two to four: +86138****5678.
func (n Number) Masked() string {
	s := n.e164
	switch {
	case s == "":
		return ""
	case len(s) >= 13:
		return s[:len(s)-8] + "****" + s[len(s)-4:]
	case len(s) >= 9:
		return s[:len(s)-6] + "****" + s[len(s)-2:]
	default:
		return s[:2] + "****"
	}
}

// String gives the masked form.
func (n Number) String() string { return n.Masked() }

// GoString gives the masked form for %#v.
func (n Number) GoString() string { return "phone.Number(" + n.Masked() + ")" }

// Format gives the masked form for every verb, so that %s, %v, %q and %x alike reveal nothing.
func (n Number) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, n.Masked()) }

// MarshalText gives the masked form, so that JSON, XML and map keys reveal nothing.
func (n Number) MarshalText() ([]byte, error) { return []byte(n.Masked()), nil }

// LogValue gives the masked form to slog.
func (n Number) LogValue() slog.Value { return slog.StringValue(n.Masked()) }
