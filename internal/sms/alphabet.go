package sms

import "unicode/utf8"

// The default alphabet of GSM 03.38 (3GPP TS 23.038 §6.2.1): the character at index i has the septet i. Index 0x1B is the
// escape to the extension table and stands for no character of its own.
var gsmAlphabet = [128]rune([]rune(
	"@£$¥èéùìòÇ\nØø\rÅå" +
		"Δ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ" +
		" !\"#¤%&'()*+,-./" +
		"0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNO" +
		"PQRSTUVWXYZÄÖÑÜ§" +
		"¿abcdefghijklmno" +
		"pqrstuvwxyzäöñüà"))

// The extension table (§6.2.1.1): septets that follow an escape.
var gsmExtension = map[byte]rune{
	0x0A: '\f', 0x14: '^', 0x28: '{', 0x29: '}', 0x2F: '\\', 0x3C: '[', 0x3D: '~', 0x3E: ']', 0x40: '|', 0x65: '€',
}

const escape = 0x1B

// septets holds every character of both tables; one of the extension table has the escape in its high byte.
var septets = func() map[rune]uint16 {
	m := make(map[rune]uint16, len(gsmAlphabet)+len(gsmExtension))
	for s, r := range gsmAlphabet {
		if s != escape {
			m[r] = uint16(s)
		}
	}
	for s, r := range gsmExtension {
		m[r] = escape<<8 | uint16(s)
	}
	return m
}()

func gsmEscape(septet byte) bool { return septet == escape }

// gsmEncode writes a text in septets, or tells that a character is in neither table.
func gsmEncode(text string) ([]byte, bool) {
	b := make([]byte, 0, len(text))
	for _, r := range text {
		s, ok := septets[r]
		if !ok {
			return nil, false
		}
		if s > 0xFF {
			b = append(b, escape)
		}
		b = append(b, byte(s))
	}
	return b, true
}

// gsmDecode reads septets. As the standard asks, an escaped septet that the extension table lacks is read in the default
// alphabet.
func gsmDecode(body []byte) string {
	runes := make([]rune, 0, len(body))
	escaped := false
	for _, s := range body {
		switch r, extended := gsmExtension[s]; {
		case s > 0x7F:
			runes = append(runes, utf8.RuneError)
		case s == escape && !escaped:
			escaped = true
			continue
		case escaped && extended:
			runes = append(runes, r)
		case s == escape:
			runes = append(runes, ' ')
		default:
			runes = append(runes, gsmAlphabet[s])
		}
		escaped = false
	}
	return string(runes)
}
