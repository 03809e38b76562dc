package typed

import (
	"strings"
	"testing"

	"untether/internal/phone"
)

func TestParse(t *testing.T) {
	cases := []struct{ name, in, region, want string }{
		{"national", "13812345678", "", "+8613812345678"},
		{"spaces", " 138 1234 5678 ", "", "+8613812345678"},
		{"dashes", "138-1234-5678", "", "+8613812345678"},
		{"a long dash", "138–1234—5678", "", "+8613812345678"},
		{"no-break spaces", "138\u00a01234\u202f5678", "", "+8613812345678"},
		{"ideographic space", "138　1234　5678", "", "+8613812345678"},
		{"full-width digits", "１３８１２３４５６７８", "", "+8613812345678"},
		{"full-width all through", "＋８６　１３８－１２３４－５６７８", "", "+8613812345678"},
		{"country with plus", "+86 138 1234 5678", "", "+8613812345678"},
		{"country in brackets", "(+86) 13812345678", "", "+8613812345678"},
		{"country with zeros", "0086 13812345678", "", "+8613812345678"},
		{"country without a sign", "8613812345678", "", "+8613812345678"},
		{"direction marks from a call list", "\u202a+8613812345678\u202c", "", "+8613812345678"},
		{"a newer range", "19912345678", "", "+8619912345678"},
		{"Hong Kong by its country", "+852 5123 4567", "", "+85251234567"},
		{"Hong Kong by the region", "5123 4567", "HK", "+85251234567"},
		{"North America tells no mobile", "+1 (202) 555-0143", "", "+12025550143"},

		{"nothing", "", "", ""},
		{"spaces alone", "   ", "", ""},
		{"a plus alone", "+", "", ""},
		{"too short", "1381234567", "", ""},
		{"too long", "138123456789", "", ""},
		{"a fixed line", "010 6255 1234", "", ""},
		{"a hotline", "400 810 0888", "", ""},
		{"a short code", "10086", "", ""},
		{"letters", "1-800-FLOWERS", "US", ""},
		{"an extension", "13812345678 ext 5", "", ""},
		{"two plus signs", "++8613812345678", "", ""},
		{"a plus in the middle", "86+13812345678", "", ""},
		{"Arabic digits", "١٣٨١٢٣٤٥٦٧٨", "", ""},
		{"a country there is not", "+999 138 1234 5678", "", ""},
		{"a region there is not", "13812345678", "??", ""},
		{"broken UTF-8", "138\xff12345678", "", ""},
		{"a zero byte", "13812345678\x00", "", ""},
		{"a link", "tel:+8613812345678", "", ""},
		{"endless", strings.Repeat(" ", 10_000) + "13812345678", "", ""},
	}
	for _, c := range cases {
		got, err := Parse(c.in, c.region)
		switch {
		case c.want == "" && (err != ErrUnreadable || !got.IsZero()):
			t.Errorf("%s: taken as %v, %v", c.name, got, err)
		case c.want != "" && (err != nil || got.E164() != c.want):
			t.Errorf("%s: %q, %v, want %s", c.name, got.E164(), err, c.want)
		}
	}
}

// Whatever is read must be a number that the rest of the program takes, and must read as itself again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"13812345678", "＋８６ 138-1234-5678", "0086", "+1 (202) 555-0143", "\u202a138", "+0", "00"} {
		f.Add(s, "CN")
	}
	f.Add("5123 4567", "HK")
	f.Add("1", "\xff")
	f.Fuzz(func(t *testing.T, s, region string) {
		n, err := Parse(s, region)
		if err != nil {
			return
		}
		if _, err := phone.Parse(n.E164()); err != nil {
			t.Errorf("%q became %q, which is no number", s, n.E164())
		}
		if again, err := Parse(n.E164(), region); err != nil || again != n {
			t.Errorf("%q became %q, which reads as %q, %v", s, n.E164(), again.E164(), err)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		_, _ = Parse("138 1234 5678", "")
	}
}
