// Package typed reads phone numbers as people type them: with spaces, dashes and brackets, in full-width digits, in
// national form, with +86 or 0086 in front.
//
// It takes only numbers that could receive a text message, and judges them by published numbering plans. Carriers use
// ranges that those plans do not know yet, so it is for forms that people fill in, never for a carrier's data.
package typed

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"

	"untether/internal/fault"
	"untether/internal/phone"
)

// DefaultRegion is where a number without a country is taken to be, as ISO 3166-1 alpha-2.
const DefaultRegion = "CN"

// typedBytesMax bounds what is looked at: fifteen full-width digits with a space after each is 60 bytes.
const typedBytesMax = 96

// ErrUnreadable is the one answer to anything that is not a mobile number. It never repeats the input.
var ErrUnreadable = fault.New(fault.Invalid, "INVALID_ARGUMENT",
	"This is not a mobile number. Type it as on a business card, for example 138 1234 5678 or +852 5123 4567.")

// Parse reads a number that a person typed; one without a country is of the region, and an empty region is
// DefaultRegion. Anything that is not a mobile number is ErrUnreadable.
func Parse(s, region string) (phone.Number, error) {
	if region == "" {
		region = DefaultRegion
	}
	plain, ok := fold(s)
	if !ok {
		return phone.Number{}, ErrUnreadable
	}
	parsed, err := phonenumbers.Parse(plain, region)
	if err != nil || !canReceiveTexts(parsed) {
		return phone.Number{}, ErrUnreadable
	}
	n, err := phone.Parse(phonenumbers.Format(parsed, phonenumbers.E164))
	if err != nil {
		return phone.Number{}, ErrUnreadable
	}
	return n, nil
}

// canReceiveTexts: some plans, North America's for one, do not tell mobile from fixed.
func canReceiveTexts(n *phonenumbers.PhoneNumber) bool {
	if n.GetExtension() != "" {
		return false
	}
	switch phonenumbers.GetNumberType(n) {
	case phonenumbers.MOBILE, phonenumbers.FIXED_LINE_OR_MOBILE:
		return true
	default:
		return false
	}
}

// fold makes plain digits of a typed number, with a plus sign in front where it names a country. Letters and anything
// else that people do not put in a number are refused: the library would read "1-800-FLOWERS".
func fold(s string) (string, bool) {
	if len(s) > typedBytesMax || !utf8.ValidString(s) {
		return "", false
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9':
			b.WriteRune(r)
		case r >= '０' && r <= '９':
			b.WriteRune(r - '０' + '0')
		case (r == '+' || r == '＋') && b.Len() == 0:
			b.WriteByte('+')
		case !isFiller(r):
			return "", false
		}
	}
	return withCountry(b.String()), b.Len() > 0
}

// withCountry turns the international prefix of China, which people copy from call lists, into a plus sign.
func withCountry(digits string) string {
	if rest, ok := strings.CutPrefix(digits, "00"); ok {
		return "+" + rest
	}
	return digits
}

// isFiller tells the characters that people, keyboards and copied text put between digits.
func isFiller(r rune) bool {
	return unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) || unicode.Is(unicode.Cf, r) || strings.ContainsRune("().·（）．－−", r)
}
