package respond

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"untether/internal/fault"
)

// depthMax is how many objects and lists may stand one in another. Our deepest document has four.
const depthMax = 16

// problem is why a body is refused and where, as a path of the document's own names; the path is put together only on the
// way out.
type problem struct{ path, why string }

func (p *problem) within(name string) *problem {
	switch {
	case p.path == "":
		p.path = name
	case p.path[0] == '[':
		p.path = name + p.path
	default:
		p.path = name + "." + p.path
	}
	return p
}

func (p *problem) fault() *fault.Error {
	if p.path == "" {
		return fault.Invalidf("The body %s.", p.why)
	}
	return fault.Invalidf("%s %s.", p.path, p.why)
}

// inspector walks a body once and compares it with the shape of the type that it is for. What it passes, encoding/json
// reads without surprises: there, names match in any case, the last of two wins, and null means nothing.
type inspector struct {
	body  []byte
	at    int
	depth int
}

func inspect(body []byte, s *shape) error {
	if len(body) == 0 {
		return fault.Invalidf("The body is empty; send a JSON object.")
	}
	if !utf8.Valid(body) {
		return fault.Invalidf("The body is not valid UTF-8.")
	}
	in := &inspector{body: body}
	if p := in.value(s); p != nil {
		return p.fault()
	}
	if in.next() != 0 || in.at < len(body) {
		return fault.Invalidf("The body goes on after the end of its JSON value.")
	}
	return nil
}

// next skips white space and peeks at the byte after it; 0 at the end.
func (in *inspector) next() byte {
	for in.at < len(in.body) {
		switch c := in.body[in.at]; c {
		case ' ', '\t', '\n', '\r':
			in.at++
		default:
			return c
		}
	}
	return 0
}

func syntax() *problem { return &problem{why: "is not valid JSON"} }

func (in *inspector) value(s *shape) *problem {
	switch c := in.next(); {
	case c == '{':
		return in.nested(s, in.object)
	case c == '[':
		return in.nested(s, in.list)
	case c == '"':
		return in.text(s)
	case c == '-' || c >= '0' && c <= '9':
		return in.number(s)
	case in.literal("true") || in.literal("false"):
		return want(s, boolean)
	case in.literal("null"):
		return &problem{why: "must not be null; leave out what has no value"}
	}
	return syntax()
}

func (in *inspector) nested(s *shape, walk func(*shape) *problem) *problem {
	if in.depth == depthMax {
		return &problem{why: "is nested too deeply"}
	}
	in.depth++
	in.at++
	p := walk(s)
	in.depth--
	return p
}

func (in *inspector) literal(word string) bool {
	if bytes.HasPrefix(in.body[in.at:], []byte(word)) {
		in.at += len(word)
		return true
	}
	return false
}

var wanted = map[form]string{
	object: "must be a JSON object", mapping: "must be a JSON object", list: "must be a list", text: "must be a string",
	enum: "must be a string", instant: "must be a string with an instant", integer: "must be a whole number",
	decimal: "must be a number", boolean: "must be true or false",
}

func want(s *shape, forms ...form) *problem {
	if s.form == anything {
		return nil
	}
	for _, f := range forms {
		if s.form == f {
			return nil
		}
	}
	return &problem{why: wanted[s.form]}
}

func (in *inspector) object(s *shape) *problem {
	if p := want(s, object, mapping); p != nil {
		return p
	}
	var seen names
	for first := true; ; first = false {
		c := in.next()
		if c == '}' && first {
			break
		}
		if c != '"' {
			return syntax()
		}
		if p := in.member(s, &seen); p != nil {
			return p
		}
		if c = in.next(); c == '}' {
			break
		}
		if c != ',' {
			return syntax()
		}
		in.at++
	}
	in.at++
	return seen.missing(s)
}

// names are the properties that one object has had so far: a bit for each known one, a set for those of maps.
type names struct {
	known uint64
	other map[string]struct{}
}

func (n *names) missing(s *shape) *problem {
	for i := range s.fields {
		if s.fields[i].required && n.known&(1<<i) == 0 {
			return &problem{path: s.fields[i].name, why: "is missing"}
		}
	}
	return nil
}

func (in *inspector) member(s *shape, seen *names) *problem {
	name, p := in.name()
	if p != nil {
		return p
	}
	if in.next() != ':' {
		return syntax()
	}
	in.at++
	if s.form != object {
		return in.freeMember(s, seen, string(name))
	}
	i, ok := s.byName[string(name)]
	if !ok {
		return unknown(name)
	}
	f := &s.fields[i]
	if seen.known&(1<<i) != 0 {
		return &problem{path: f.name, why: "is there twice"}
	}
	seen.known |= 1 << i
	if p := in.value(f.shape); p != nil {
		return p.within(f.name)
	}
	return nil
}

// freeMember is a property whose name the stranger chose: it is not repeated in the answer.
func (in *inspector) freeMember(s *shape, seen *names, name string) *problem {
	if _, twice := seen.other[name]; twice {
		return &problem{why: "has a property twice"}
	}
	if seen.other == nil {
		seen.other = map[string]struct{}{}
	}
	seen.other[name] = struct{}{}
	inner := s.element
	if s.form == anything {
		inner = s
	}
	return in.value(inner)
}

// unknown names the property only when it is a plain short word: what holds a digit could be a secret at a wrong place.
func unknown(name []byte) *problem {
	const wordBytesMax = 32
	if len(name) == 0 || len(name) > wordBytesMax {
		return &problem{why: "has a property that is not known here"}
	}
	for _, c := range name {
		if (c|0x20) < 'a' || (c|0x20) > 'z' {
			return &problem{why: "has a property that is not known here"}
		}
	}
	return &problem{path: string(name), why: "is not known here"}
}

func (in *inspector) list(s *shape) *problem {
	if p := want(s, list); p != nil {
		return p
	}
	inner := s.element
	if s.form == anything {
		inner = s
	}
	if in.next() == ']' {
		in.at++
		return nil
	}
	for i := 0; ; i++ {
		if p := in.value(inner); p != nil {
			return p.within(fmt.Sprintf("[%d]", i))
		}
		c := in.next()
		in.at++
		if c == ']' {
			return nil
		}
		if c != ',' {
			return syntax()
		}
	}
}

func (in *inspector) number(s *shape) *problem {
	start := in.at
	for in.at < len(in.body) && isNumeric(in.body[in.at]) {
		in.at++
	}
	if p := want(s, integer, decimal); p != nil || s.form != integer {
		return p // the grammar of other numbers is left to encoding/json
	}
	if !fits(string(in.body[start:in.at]), s) {
		return &problem{why: "must be a whole number within bounds"}
	}
	return nil
}

func isNumeric(c byte) bool {
	return c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'
}

func fits(digits string, s *shape) bool {
	var err error
	if s.signed {
		_, err = strconv.ParseInt(digits, 10, s.bits)
	} else {
		_, err = strconv.ParseUint(digits, 10, s.bits)
	}
	return err == nil
}

func (in *inspector) text(s *shape) *problem {
	raw, escaped, p := in.raw()
	if p != nil {
		return p
	}
	if p := want(s, text, enum, instant); p != nil {
		return p
	}
	if s.form != enum && s.form != instant {
		return nil
	}
	value, p := unescape(raw, escaped)
	switch {
	case p != nil:
		return p
	case s.form == enum && !s.valid(string(value)):
		return &problem{why: "is none of the values that the document lists"}
	case s.form == instant && !isInstant(string(value)):
		return &problem{why: "must be an instant in RFC 3339 with its zone, for example 2026-01-31T08:00:00+08:00"}
	}
	return nil
}

func isInstant(s string) bool {
	t, err := time.Parse(time.RFC3339, s)
	return err == nil && t.Year() > 0 // the year 0 has no place in any database of ours
}

func (in *inspector) name() ([]byte, *problem) {
	raw, escaped, p := in.raw()
	if p != nil {
		return nil, p
	}
	return unescape(raw, escaped)
}

func unescape(raw []byte, escaped bool) ([]byte, *problem) {
	if !escaped {
		return raw[1 : len(raw)-1], nil
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return nil, syntax()
	}
	return []byte(s), nil
}

// raw reads a string with its quotes and tells whether it holds escapes.
func (in *inspector) raw() (raw []byte, escaped bool, p *problem) {
	start := in.at
	for in.at++; in.at < len(in.body); in.at++ {
		switch c := in.body[in.at]; {
		case c == '"':
			in.at++
			return in.body[start:in.at], escaped, nil
		case c == '\\':
			escaped = true
			if p := in.escape(); p != nil {
				return nil, false, p
			}
		case c < ' ':
			return nil, false, syntax()
		}
	}
	return nil, false, syntax()
}

// escape stands on a backslash and goes to the last byte of what it begins. It refuses half a surrogate pair, which
// encoding/json would quietly replace, and NUL, which PostgreSQL cannot store.
func (in *inspector) escape() *problem {
	in.at++
	if in.at >= len(in.body) {
		return syntax()
	}
	if in.body[in.at] != 'u' {
		return nil // whether the letter is one of the known ones is left to encoding/json
	}
	unit, ok := in.unit()
	switch {
	case !ok:
		return syntax()
	case unit == 0:
		return &problem{why: "must not hold the character NUL"}
	case unit < 0xD800 || unit > 0xDFFF:
		return nil
	}
	if unit > 0xDBFF || !bytes.HasPrefix(in.body[in.at+1:], []byte(`\u`)) {
		return &problem{why: "holds half of a character"}
	}
	in.at += 2
	if low, ok := in.unit(); !ok || low < 0xDC00 || low > 0xDFFF {
		return &problem{why: "holds half of a character"}
	}
	return nil
}

// unit reads the four hexadecimal digits after a u and stands on the last of them.
func (in *inspector) unit() (uint64, bool) {
	if in.at+4 >= len(in.body) {
		return 0, false
	}
	unit, err := strconv.ParseUint(string(in.body[in.at+1:in.at+5]), 16, 16)
	in.at += 4
	return unit, err == nil
}
