package connector

import (
	"errors"
	"fmt"
	"strings"
)

// NumberFormat is how an app's table writes phone numbers.
type NumberFormat string

// The formats, with +86 138 1234 5678 as the example.
const (
	E164     NumberFormat = "e164"     // +8613812345678
	Digits   NumberFormat = "digits"   // 8613812345678
	National NumberFormat = "national" // 13812345678: without the country code, and without a leading 0 before it
)

func (f NumberFormat) check(countryCode string) error {
	switch f {
	case E164, Digits:
		return nil
	case National:
		return checkCountryCode(countryCode)
	}
	return fmt.Errorf("numberFormat must be %s, %s or %s", E164, Digits, National)
}

func checkCountryCode(s string) error {
	if len(s) < 1 || len(s) > 3 || s[0] == '0' || strings.Trim(s, "0123456789") != "" {
		return errors.New(`countryCode must be one to three digits without a plus sign, for example "86"`)
	}
	return nil
}

// inTable converts a number in E.164 to the table's form. It is false for a number that the table cannot hold: with
// National, one of another country.
func (f NumberFormat) inTable(e164, countryCode string) (string, bool) {
	switch f {
	case Digits:
		return strings.TrimPrefix(e164, "+"), true
	case National:
		return strings.CutPrefix(e164, "+"+countryCode)
	}
	return e164, true
}
