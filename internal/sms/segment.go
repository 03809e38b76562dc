package sms

import (
	"fmt"
	"unicode/utf16"
	"unicode/utf8"

	"untether/internal/texts"
)

// Values of data_coding.
const (
	CodingGSM   = 0x00 // GSM 03.38, one septet in one octet
	CodingLatin = 0x03 // ISO 8859-1; read, never sent
	CodingUCS2  = 0x08 // UTF-16BE
)

// How much fits, in the units of the alphabet: septets or UTF-16 units.
const (
	gsmWhole, gsmPart   = 160, 153
	ucs2Whole, ucs2Part = 70, 67
	partsMax            = 20 // 1,340 Chinese characters; our longest text is about 300
)

// Part is what one SMPP message carries of a text.
type Part struct {
	Coding byte   // CodingGSM or CodingUCS2
	Body   []byte // encoded, without the header
	Concat Concat // zero when the text is whole in one part
}

// Concat is the place of a part in a text, as in 3GPP TS 23.040 §9.2.3.24.1.
type Concat struct {
	Reference uint16
	Total     byte
	Number    byte // from 1
}

// Segment cuts a text into parts. A text that fits the GSM alphabet is sent in it, any other in UCS-2; neither a
// surrogate pair nor an escape pair is cut. The same text and reference give the same parts. A text that is empty, is not
// UTF-8 or needs more than 20 parts is texts.ErrRefused.
func Segment(text string, reference uint16) ([]Part, error) {
	if text == "" || !utf8.ValidString(text) {
		return nil, fmt.Errorf("the text is empty or not UTF-8: %w", texts.ErrRefused)
	}
	if len(text) > partsMax*gsmPart*utf8.UTFMax {
		return nil, errTooLong
	}
	septets, ok := gsmEncode(text)
	if ok {
		return number(cut(septets, gsmWhole, gsmPart, gsmEscape), CodingGSM, reference)
	}
	units := utf16.Encode([]rune(text))
	pieces := cut(units, ucs2Whole, ucs2Part, func(u uint16) bool { return u >= 0xD800 && u < 0xDC00 })
	bodies := make([][]byte, len(pieces))
	for i, p := range pieces {
		bodies[i] = bigEndian(p)
	}
	return number(bodies, CodingUCS2, reference)
}

var errTooLong = fmt.Errorf("the text needs more than %d parts: %w", partsMax, texts.ErrRefused)

// cut splits units into pieces of at most part units, or leaves them whole when there are no more than whole. A piece
// never ends with a unit that leads into the next one.
func cut[U any](units []U, whole, part int, leads func(U) bool) [][]U {
	if len(units) <= whole {
		return [][]U{units}
	}
	var pieces [][]U
	for len(units) > part {
		end := part
		if leads(units[end-1]) {
			end--
		}
		pieces = append(pieces, units[:end])
		units = units[end:]
	}
	return append(pieces, units)
}

func number(bodies [][]byte, coding byte, reference uint16) ([]Part, error) {
	if len(bodies) > partsMax {
		return nil, errTooLong
	}
	parts := make([]Part, len(bodies))
	for i, b := range bodies {
		parts[i] = Part{Coding: coding, Body: b}
		if len(bodies) > 1 {
			parts[i].Concat = Concat{Reference: fold(reference), Total: byte(len(bodies)), Number: byte(i + 1)}
		}
	}
	return parts, nil
}

// fold makes the one byte that the air has for a reference. Neighbouring references stay apart.
func fold(reference uint16) uint16 { return reference>>8 ^ reference&0xFF }

func bigEndian(units []uint16) []byte {
	b := make([]byte, 0, 2*len(units))
	for _, u := range units {
		b = append(b, byte(u>>8), byte(u))
	}
	return b
}

// Decode reads the body of a message, or of all its parts joined. Octets that the coding does not have become U+FFFD; an
// unknown coding is read as GSM.
func Decode(coding byte, body []byte) string {
	switch coding {
	case CodingUCS2:
		units := make([]uint16, 0, len(body)/2)
		for i := 0; i+1 < len(body); i += 2 {
			units = append(units, uint16(body[i])<<8|uint16(body[i+1]))
		}
		return string(utf16.Decode(units))
	case CodingLatin:
		runes := make([]rune, len(body))
		for i, b := range body {
			runes[i] = rune(b)
		}
		return string(runes)
	default:
		return gsmDecode(body)
	}
}
