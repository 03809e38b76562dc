package ident

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
	"unique"

	"untether/internal/fault"
)

// Kind is a kind of identity document.
type Kind int

// The kinds of documents under which a carrier in China sells a number.
const (
	None                Kind = iota
	ResidentID               // 居民身份证 and the residence permits for Hong Kong, Macao, Taiwan: 18 characters by GB 11643
	ForeignPermanent         // 外国人永久居留身份证 since 2023: 18 characters, the first a 9
	ForeignPermanentOld      // the same before 2023: three letters of nationality and twelve digits
	Passport                 // six to nine digits and letters
	HongKongMacaoPermit      // 港澳居民来往内地通行证: H or M and eight to ten digits
	TaiwanPermit             // 台湾居民来往大陆通行证: eight digits
)

var kindNames = map[Kind]string{
	None:                "none",
	ResidentID:          "resident ID",
	ForeignPermanent:    "foreign permanent resident ID",
	ForeignPermanentOld: "foreign permanent resident ID (old form)",
	Passport:            "passport",
	HongKongMacaoPermit: "mainland travel permit for Hong Kong and Macao",
	TaiwanPermit:        "mainland travel permit for Taiwan",
}

// String names the kind in English, for logs and errors.
func (k Kind) String() string { return kindNames[k] }

// ErrDocument is the one answer to what is no document's number. It never repeats the input.
var ErrDocument = fault.New(fault.Invalid, "INVALID_ARGUMENT",
	"The identity document's number is not a resident ID, a foreign permanent resident ID, a passport or a travel permit.")

// Document is the number of an identity document with its kind. The zero Document is none. Values compare with ==.
type Document struct {
	kind   Kind
	number secret
}

// ParseDocument reads a document's number as a person may type it (see ParseLastSix for what is folded) and recognises
// its kind by its shape. Numbers by GB 11643 must hold their check character and a day of birth that exists. Anything else
// is ErrDocument.
func ParseDocument(s string) (Document, error) {
	plain, ok := fold(s)
	if !ok || !all(plain, isAlphanumeric) {
		return Document{}, ErrDocument
	}
	kind := kindOf(plain)
	if kind == None {
		return Document{}, ErrDocument
	}
	return Document{kind, secret{unique.Make(strings.Clone(plain))}}, nil
}

// kindOf tries the shapes from the narrowest to the widest: a travel permit has the length of a passport.
func kindOf(s string) Kind {
	switch {
	case isResidentID(s) && s[0] == '9':
		return ForeignPermanent
	case isResidentID(s):
		return ResidentID
	case isForeignPermanentOld(s):
		return ForeignPermanentOld
	case isHongKongMacaoPermit(s):
		return HongKongMacaoPermit
	case len(s) == 8 && all(s, isDigit):
		return TaiwanPermit
	case isPassport(s):
		return Passport
	}
	return None
}

// isResidentID checks place, day of birth and check character: six digits, YYYYMMDD, three digits, one check character.
func isResidentID(s string) bool {
	if len(s) != 18 || s[0] == '0' {
		return false
	}
	check, err := CheckDigit(s[:17])
	return err == nil && s[17] == check && isDay("20060102", s[6:14])
}

// isForeignPermanentOld checks nationality (three letters), place (four digits), birth (YYMMDD) and two digits. Its check
// digit is not tried: no published rule is at hand.
func isForeignPermanentOld(s string) bool {
	return len(s) == 15 && all(s[:3], isLetter) && all(s[3:], isDigit) && isDay("060102", s[7:13])
}

func isHongKongMacaoPermit(s string) bool {
	return len(s) >= 9 && len(s) <= 11 && (s[0] == 'H' || s[0] == 'M') && all(s[1:], isDigit)
}

// isPassport takes what ICAO 9303 allows (nine characters at most); a word without any digit is nobody's passport.
func isPassport(s string) bool {
	return len(s) >= lastSixLength && len(s) <= 9 && strings.ContainsAny(s, "0123456789")
}

// isDay tells whether the calendar has the day; a resident ID of before 1850 is a mistake.
func isDay(layout, s string) bool {
	day, err := time.Parse(layout, s)
	return err == nil && day.Year() >= 1850
}

// CheckDigit gives the last character of a number by GB 11643 for its first seventeen digits: ISO 7064 MOD 11-2, a digit
// or X. Anything but seventeen digits is ErrDocument.
func CheckDigit(first17 string) (byte, error) {
	if len(first17) != 17 || !all(first17, isDigit) {
		return 0, ErrDocument
	}
	p := 0
	for i := range len(first17) {
		p = (p + int(first17[i]-'0')) * 2 % 11
	}
	return "0123456789X"[(12-p)%11], nil
}

// Kind tells what kind of document the number looks like.
func (d Document) Kind() Kind { return d.kind }

// LastSix gives the last six characters. Those of the zero Document are the zero LastSix.
func (d Document) LastSix() LastSix {
	if d.IsZero() {
		return LastSix{}
	}
	return lastSixOf(d.number.reveal())
}

// Number gives the whole number, for a carrier's own records in the sandbox. The hub never asks for it.
func (d Document) Number() string { return d.number.reveal() }

// IsZero tells whether there is no document.
func (d Document) IsZero() bool { return d == Document{} }

// String gives the kind and asterisks.
func (d Document) String() string { return d.kind.String() + " " + mask }

// GoString gives the kind and asterisks for %#v.
func (d Document) GoString() string { return "ident.Document(" + d.String() + ")" }

// Format gives the kind and asterisks for every verb.
func (d Document) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, d.String()) }

// MarshalText gives the kind and asterisks, so that JSON, XML and map keys reveal nothing.
func (d Document) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// LogValue gives the kind and asterisks to slog.
func (d Document) LogValue() slog.Value { return slog.StringValue(d.String()) }
