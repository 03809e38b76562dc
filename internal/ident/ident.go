// Package ident is identity documents: the last six characters by which a person proves a number theirs, and the kinds
// of documents that a subscriber may have shown to a carrier.
//
// It guarantees that neither a Document nor a LastSix is shown by accident: fmt, JSON, text encoding and slog print
// asterisks only, also when the value hides in an unexported field of another struct. Reveal and Number give the
// characters, and a reader can search for their uses. Errors never repeat what was typed.
//
// It does not say that a document was ever issued, nor to whom: a carrier knows that. The kind of a Document is the kind
// its number looks like; a nine-character foreign passport that looks like a travel permit is taken for one.
package ident

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unicode"
	"unique"

	"untether/internal/fault"
)

// lastSixLength is the number of characters that are asked for.
const lastSixLength = 6

// typedBytesMax bounds what is looked at: the longest document, full-width (three bytes a character), with room for
// spaces around it.
const typedBytesMax = 128

const mask = "******"

// ErrLastSix is the one answer to anything that cannot be the end of a document's number. It never repeats the input.
var ErrLastSix = fault.New(fault.Invalid, "INVALID_ARGUMENT",
	"idLast6 must be the last six characters of the identity document: digits and the letters A to Z, without spaces.")

// secret holds characters that fmt cannot reach: it prints a handle in an unexported field as an address, where a string
// or an array there would be printed whole, because fmt calls no methods on unexported fields.
type secret struct{ held unique.Handle[string] }

func (s secret) reveal() string {
	if s == (secret{}) {
		return ""
	}
	return s.held.Value()
}

// LastSix is the last six characters of an identity document. The zero LastSix is none. Values compare with ==.
type LastSix struct{ chars secret }

// ParseLastSix reads six digits and letters as a person may type them: lower case becomes upper, full-width forms become
// plain, spaces around them are dropped. Anything else is ErrLastSix.
func ParseLastSix(s string) (LastSix, error) {
	plain, ok := fold(s)
	if !ok || len(plain) != lastSixLength || !all(plain, isAlphanumeric) {
		return LastSix{}, ErrLastSix
	}
	return lastSixOf(plain), nil
}

func lastSixOf(plain string) LastSix {
	return LastSix{secret{unique.Make(strings.Clone(plain[len(plain)-lastSixLength:]))}}
}

// Reveal gives the six characters, for the wire to the carrier only. The zero LastSix gives "".
func (l LastSix) Reveal() string { return l.chars.reveal() }

// IsZero tells whether there are no characters.
func (l LastSix) IsZero() bool { return l == LastSix{} }

// String gives asterisks.
func (LastSix) String() string { return mask }

// GoString gives asterisks for %#v.
func (LastSix) GoString() string { return "ident.LastSix(" + mask + ")" }

// Format gives asterisks for every verb, so that %s, %v, %q and %x alike reveal nothing.
func (LastSix) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, mask) }

// MarshalText gives asterisks, so that JSON, XML and map keys reveal nothing.
func (LastSix) MarshalText() ([]byte, error) { return []byte(mask), nil }

// LogValue gives asterisks to slog.
func (LastSix) LogValue() slog.Value { return slog.StringValue(mask) }

// fold makes plain upper-case ASCII of what was typed and drops the spaces around it. It is false for what is longer than
// any document or holds a character that has no plain form.
func fold(s string) (string, bool) {
	if len(s) > typedBytesMax {
		return "", false
	}
	s = strings.TrimFunc(s, unicode.IsSpace)
	var b strings.Builder
	for _, r := range s {
		if r >= '！' && r <= '～' {
			r -= '！' - '!'
		}
		if r >= 'a' && r <= 'z' {
			r -= 'a' - 'A'
		}
		if r > unicode.MaxASCII {
			return "", false
		}
		b.WriteByte(byte(r))
	}
	return b.String(), true
}

func all(s string, is func(byte) bool) bool {
	for i := range len(s) {
		if !is(s[i]) {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool        { return c >= '0' && c <= '9' }
func isLetter(c byte) bool       { return c >= 'A' && c <= 'Z' }
func isAlphanumeric(c byte) bool { return isDigit(c) || isLetter(c) }
