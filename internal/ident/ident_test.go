package ident_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"untether/internal/fault"
	"untether/internal/ident"
)

func TestParseLastSix(t *testing.T) {
	for _, c := range []struct{ name, typed, want string }{
		{"digits", "123456", "123456"},
		{"resident ID ending in X", "12345X", "12345X"},
		{"lower case", "12345x", "12345X"},
		{"passport with letters", "EA1234", "EA1234"},
		{"full width", "１２３４５Ｘ", "12345X"},
		{"full width, lower case", "１２３４５ｘ", "12345X"},
		{"spaces around", " 123456\t\n", "123456"},
		{"ideographic space around", "\u3000123456\u3000", "123456"},
		{"empty", "", ""},
		{"five", "12345", ""},
		{"seven", "1234567", ""},
		{"space within", "123 456", ""},
		{"hyphen", "12-456", ""},
		{"Chinese numerals", "一二三四五六", ""},
		{"Arabic-Indic digits", "١٢٣٤٥٦", ""},
		{"Cyrillic letter that looks like X", "12345Х", ""},
		{"invalid UTF-8", "12345\xff", ""},
		{"NUL", "12345\x00", ""},
		{"combining mark", "12345X\u0301", ""},
		{"a megabyte", strings.Repeat("1", 1<<20), ""},
		{"a megabyte of spaces around", strings.Repeat(" ", 1<<20) + "123456", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ident.ParseLastSix(c.typed)
			if (err == nil) != (c.want != "") || got.Reveal() != c.want {
				t.Fatalf("got %q, %v; want %q", got.Reveal(), err, c.want)
			}
			if err != nil && (!fault.Is(err, "INVALID_ARGUMENT") || !got.IsZero()) {
				t.Fatalf("refused with %v", err)
			}
		})
	}
}

func TestParseDocument(t *testing.T) {
	for _, c := range []struct {
		name, typed string
		want        ident.Kind
		lastSix     string
	}{
		{"resident ID of the standard's example", "11010519491231002X", ident.ResidentID, "31002X"},
		{"with a digit for check", "440524188001010014", ident.ResidentID, "010014"},
		{"lower-case x", "11010519491231002x", ident.ResidentID, "31002X"},
		{"full width", "１１０１０５１９４９１２３１００２Ｘ", ident.ResidentID, "31002X"},
		{"wrong check character", "110105194912310021", ident.None, ""},
		{"two digits swapped", "11010519491231020X", ident.None, ""},
		{"30 February", withCheck("11010519490230002"), ident.None, ""},
		{"29 February of a leap year", withCheck("11010520000229002"), ident.ResidentID, ""},
		{"no place begins with 0", withCheck("01010519491231002"), ident.None, ""},
		{"X in the middle", "1101051949123X0021", ident.None, ""},
		{"permanent resident", withCheck("91184019900307001"), ident.ForeignPermanent, ""},
		{"permanent resident, wrong check", "91184019900307001?", ident.None, ""},
		{"permanent resident, old form", "USA110090030712", ident.ForeignPermanentOld, "030712"},
		{"old form, month 13", "USA110090130712", ident.None, ""},
		{"old form, digits first", "123110090030712", ident.None, ""},
		{"Chinese passport", "E12345678", ident.Passport, "345678"},
		{"Chinese passport, newer", "EA1234567", ident.Passport, "234567"},
		{"British passport", "123456789", ident.Passport, "456789"},
		{"short passport", "AB1234", ident.Passport, "AB1234"},
		{"a word", "PASSPORT", ident.None, ""},
		{"too short for six", "A1234", ident.None, ""},
		{"ten characters", "AB12345678", ident.None, ""},
		{"Hong Kong permit", "H12345678", ident.HongKongMacaoPermit, "345678"},
		{"Macao permit with replacement count", "M1234567802", ident.HongKongMacaoPermit, "567802"},
		{"Hong Kong permit with a letter", "H1234567890A", ident.None, ""},
		{"Taiwan permit", "12345678", ident.TaiwanPermit, "345678"},
		{"empty", "", ident.None, ""},
		{"invalid UTF-8", "E1234567\xff", ident.None, ""},
		{"a megabyte", strings.Repeat("9", 1<<20), ident.None, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ident.ParseDocument(c.typed)
			if got.Kind() != c.want || (err == nil) != (c.want != ident.None) {
				t.Fatalf("got %v, %v; want %v", got, err, c.want)
			}
			if c.lastSix != "" && got.LastSix().Reveal() != c.lastSix {
				t.Fatalf("last six %q, want %q", got.LastSix().Reveal(), c.lastSix)
			}
			if err != nil && (!got.IsZero() || !got.LastSix().IsZero() || !fault.Is(err, "INVALID_ARGUMENT")) {
				t.Fatalf("refused with %v", err)
			}
		})
	}
}

func withCheck(first17 string) string {
	c, err := ident.CheckDigit(first17)
	if err != nil {
		panic(err)
	}
	return first17 + string(c)
}

func TestCheckDigit(t *testing.T) {
	for _, c := range []struct {
		first17 string
		want    byte
	}{
		{"11010519491231002", 'X'}, // both are the examples of GB 11643-1999
		{"44052418800101001", '4'},
		{"1101051949123100", 0},
		{"110105194912310020", 0},
		{"1101051949123100X", 0},
		{"", 0},
	} {
		got, err := ident.CheckDigit(c.first17)
		if got != c.want || (err == nil) != (c.want != 0) {
			t.Errorf("CheckDigit(%q) = %q, %v; want %q", c.first17, got, err, c.want)
		}
	}
}

// ISO 7064 MOD 11-2 promises to find every single wrong digit and every swap of two neighbours.
func TestCheckDigitFindsMistypings(t *testing.T) {
	const id = "11010519491231002X"
	for i := range 17 {
		for d := byte('0'); d <= '9'; d++ {
			wrong := []byte(id)
			wrong[i] = d
			check, _ := ident.CheckDigit(string(wrong[:17]))
			if d != id[i] && check == id[17] {
				t.Errorf("digit %d as %c goes unnoticed", i, d)
			}
		}
	}
}

func TestNothingIsPrinted(t *testing.T) {
	lastSix, _ := ident.ParseLastSix("31002X")
	document, _ := ident.ParseDocument("11010519491231002X")
	type record struct {
		Shown  ident.LastSix
		hidden ident.LastSix
		Doc    ident.Document
		doc    ident.Document
	}
	r := record{lastSix, lastSix, document, document}
	var out bytes.Buffer
	for _, v := range []any{lastSix, &lastSix, document, &document, r, &r, []record{r}, map[ident.LastSix]ident.Document{lastSix: document}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%c", "%U"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		if err := json.NewEncoder(&out).Encode(v); err != nil {
			t.Fatal(err)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "v", v)
	}
	for _, secret := range []string{"31002", "110105", "19491231", "333130303258", "51 49 48 48", "[51"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%q was printed", secret)
		}
	}
}

func TestLastSixCompares(t *testing.T) {
	a, _ := ident.ParseLastSix("31002X")
	b, _ := ident.ParseLastSix(" ３１００２ｘ ")
	c, _ := ident.ParseLastSix("310020")
	if a != b || a == c {
		t.Error("equal characters must compare equal, others must not")
	}
}

func FuzzParseLastSix(f *testing.F) {
	for _, s := range []string{"12345X", "１２３４５ｘ", " 123456 ", "", "12345\xff", "\u3000EA1234"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ident.ParseLastSix(s)
		if err != nil {
			if !got.IsZero() {
				t.Fatal("a value beside an error")
			}
			return
		}
		again, err := ident.ParseLastSix(got.Reveal())
		if err != nil || again != got || len(got.Reveal()) != 6 {
			t.Fatalf("%q does not parse to itself", got.Reveal())
		}
	})
}

func FuzzParseDocument(f *testing.F) {
	for _, s := range []string{"11010519491231002X", "911840199003070013", "USA110090030712", "E12345678", "H1234567802", "12345678", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ident.ParseDocument(s)
		if err != nil {
			return
		}
		again, err := ident.ParseDocument(got.Number())
		if err != nil || again != got {
			t.Fatalf("%q does not parse to itself", got.Number())
		}
		if n := got.Number(); got.LastSix().Reveal() != n[len(n)-6:] {
			t.Fatal("last six differ from the number's end")
		}
	})
}
