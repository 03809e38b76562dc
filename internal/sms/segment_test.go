package sms

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"untether/internal/texts"
)

// join puts parts together as a handset does, checking their numbering.
func join(t *testing.T, parts []Part) string {
	t.Helper()
	var body []byte
	for i, p := range parts {
		if len(parts) > 1 && (int(p.Concat.Total) != len(parts) || int(p.Concat.Number) != i+1) {
			t.Fatalf("part %d of %d is numbered %+v", i+1, len(parts), p.Concat)
		}
		if len(parts) == 1 && p.Concat != (Concat{}) {
			t.Fatalf("a single part is numbered %+v", p.Concat)
		}
		body = append(body, p.Body...)
	}
	return Decode(parts[0].Coding, body)
}

func TestSegment(t *testing.T) {
	for _, row := range []struct {
		name   string
		text   string
		coding byte
		sizes  []int // octets of each part
	}{
		{"GSM, whole", strings.Repeat("a", 160), CodingGSM, []int{160}},
		{"GSM, one too many", strings.Repeat("a", 161), CodingGSM, []int{153, 8}},
		{"GSM, two full parts", strings.Repeat("a", 306), CodingGSM, []int{153, 153}},
		{"GSM, extension counts twice", strings.Repeat("€", 80), CodingGSM, []int{160}},
		{"GSM, extension one too many", strings.Repeat("€", 81), CodingGSM, []int{152, 10}},
		{"GSM, escape pair at the border", strings.Repeat("a", 152) + "€" + strings.Repeat("b", 10), CodingGSM, []int{152, 12}},
		{"GSM, at sign is septet zero", "@", CodingGSM, []int{1}},
		{"UCS-2, whole", strings.Repeat("清", 70), CodingUCS2, []int{140}},
		{"UCS-2, one too many", strings.Repeat("清", 71), CodingUCS2, []int{134, 8}},
		{"UCS-2, emoji counts twice", strings.Repeat("📱", 35), CodingUCS2, []int{140}},
		{"UCS-2, emoji at the border", strings.Repeat("号", 66) + "📱" + strings.Repeat("号", 5), CodingUCS2, []int{132, 14}},
		{"UCS-2, plane 2 at the border", strings.Repeat("号", 66) + "𠮷" + strings.Repeat("号", 5), CodingUCS2, []int{132, 14}},
		{"UCS-2, one character outside GSM", strings.Repeat("a", 70) + "ê", CodingUCS2, []int{134, 8}},
		{"an escape character is not GSM", "\x1b", CodingUCS2, []int{2}},
		{"a small c with cedilla is not GSM", "ç", CodingUCS2, []int{2}},
	} {
		t.Run(row.name, func(t *testing.T) {
			parts, err := Segment(row.text, 0x1234)
			if err != nil {
				t.Fatal(err)
			}
			if len(parts) != len(row.sizes) {
				t.Fatalf("%d parts, want %d", len(parts), len(row.sizes))
			}
			for i, p := range parts {
				if p.Coding != row.coding || len(p.Body) != row.sizes[i] {
					t.Errorf("part %d: coding %d, %d octets", i+1, p.Coding, len(p.Body))
				}
			}
			if got := join(t, parts); got != row.text {
				t.Errorf("joined %q", got)
			}
		})
	}
}

func TestSegmentRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"empty":          "",
		"not UTF-8":      "a\xffb",
		"21 GSM parts":   strings.Repeat("a", 20*153+1),
		"21 UCS-2 parts": strings.Repeat("清", 20*67+1),
		"a megabyte":     strings.Repeat("a", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Segment(text, 1); !errors.Is(err, texts.ErrRefused) {
				t.Fatalf("got %v", err)
			}
		})
	}
	for name, text := range map[string]string{
		"20 GSM parts": strings.Repeat("a", 20*153), "20 UCS-2 parts": strings.Repeat("清", 20*67),
	} {
		if parts, err := Segment(text, 1); err != nil || len(parts) != 20 {
			t.Errorf("%s: %d parts, %v", name, len(parts), err)
		}
	}
}

func TestReference(t *testing.T) {
	text := strings.Repeat("清", 100)
	reference := func(r uint16) uint16 {
		parts, err := Segment(text, r)
		if err != nil {
			t.Fatal(err)
		}
		return parts[1].Concat.Reference
	}
	seen := map[uint16]bool{}
	for r := range uint16(256) {
		seen[reference(0x4200+r)] = true
	}
	if len(seen) != 256 {
		t.Errorf("256 references in a row share %d bytes", len(seen))
	}
	if got := reference(0x1234); got != 0x12^0x34 {
		t.Errorf("0x1234 became %#x: a text sent again by a newer version must keep its byte", got)
	}
}

func TestDecode(t *testing.T) {
	for _, row := range []struct {
		name   string
		coding byte
		body   string
		want   string
	}{
		{"a septet above 127", CodingGSM, "a\x80b", "a\uFFFDb"},
		{"an escape at the end", CodingGSM, "a\x1b", "a"},
		{"two escapes are a space", CodingGSM, "\x1b\x1b", " "},
		{"an escaped septet outside the extension", CodingGSM, "\x1ba", "a"},
		{"half a UTF-16 unit at the end", CodingUCS2, "\x6e\x05\x53", "清"},
		{"half a surrogate pair", CodingUCS2, "\xd8\x3d", "\uFFFD"},
		{"Latin", CodingLatin, "\xe9", "é"},
		{"a coding nobody knows", 0xF5, "ab", "ab"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := Decode(row.coding, []byte(row.body)); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

func TestAlphabetIsOneToOne(t *testing.T) {
	if len(septets) != len(gsmAlphabet)-1+len(gsmExtension) {
		t.Fatalf("%d characters: one stands in the tables twice", len(septets))
	}
	for r := range septets {
		b, ok := gsmEncode(string(r))
		if got := gsmDecode(b); !ok || got != string(r) {
			t.Errorf("%q comes back as %q", r, got)
		}
	}
}

func FuzzSegment(f *testing.F) {
	for _, s := range []string{"", "hello", strings.Repeat("€", 100), strings.Repeat("号📱", 60), "\xff", "𠮷野家\x00"} {
		f.Add(s, uint16(7))
	}
	f.Fuzz(func(t *testing.T, text string, reference uint16) {
		parts, err := Segment(text, reference)
		if err != nil {
			if !errors.Is(err, texts.ErrRefused) {
				t.Fatal(err)
			}
			return
		}
		for _, p := range parts {
			if len(p.Body) > 160 || (p.Coding == CodingUCS2 && len(p.Body) > 140) {
				t.Fatalf("a part of %d octets", len(p.Body))
			}
			if strings.ContainsRune(Decode(p.Coding, p.Body), utf8.RuneError) && !strings.ContainsRune(text, utf8.RuneError) {
				t.Fatal("a character was cut in two")
			}
		}
		if got := join(t, parts); got != text {
			t.Fatalf("%q became %q", text, got)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(byte(0), []byte("a\x1be"))
	f.Add(byte(8), []byte("\xd8\x3d\xdc\xf1\x00"))
	f.Fuzz(func(t *testing.T, coding byte, body []byte) {
		if s := Decode(coding, body); !utf8.ValidString(s) {
			t.Fatalf("%q is not UTF-8", s)
		}
	})
}
