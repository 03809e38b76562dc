package contracttest

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// nodes gives those nodes of the body for which want holds.
func (d *draft) nodes(want func(*node) bool) []*node {
	return slices.DeleteFunc(d.root.all(), func(n *node) bool { return !want(n) })
}

func is(kind string) func(*node) bool { return func(n *node) bool { return n.schema.Type.Is(kind) } }

func oddMethod(d *draft) string {
	d.Method = pick(d.rng, []string{"PUT", "TRACE", "PROPFIND", "BREW", strings.Repeat("X", 1+d.rng.IntN(99))})
	d.Header.Set("X-Trace", d.Secret)
	return "method"
}

func oddCorrelator(d *draft) string {
	d.Header.Set("X-Correlator", pick(d.rng, []string{"a b ", "清号", "\x7f", "<script>alert(1)</script>", strings.Repeat("a", 250)})+d.Secret)
	return "x-correlator"
}

func correlatorTwice(d *draft) string {
	d.Header["X-Correlator"] = []string{"a", d.Secret}
	return "x-correlator twice"
}

func manyHeaders(d *draft) string {
	for i := range 65 + d.rng.IntN(99) {
		d.Header.Set(fmt.Sprintf("X-%d", i), d.Secret)
	}
	return "many headers"
}

func longHeader(d *draft) string {
	d.Header.Set("Accept", d.Secret+strings.Repeat("a", 5000))
	return "long header"
}

func longTarget(d *draft) string {
	d.Target, _, _ = strings.Cut(d.Target, "?")
	d.Target += "?" + d.Secret + "=" + strings.Repeat("a", 2048+d.rng.IntN(999))
	return "long target"
}

// oddParameter puts what no pattern of ours allows at the place of one parameter.
func oddParameter(d *draft) string {
	odd := pick(d.rng, []string{"", "!", "%00", "%ff", "..%2f", "'%20or%20", strings.Repeat("9", 600)})
	value := odd + d.Secret + pick(d.rng, []string{"!", "%0a", "%e6%b8%85", "%25"})
	path, query, _ := strings.Cut(d.Target, "?")
	for _, p := range d.op.spec.Parameters {
		switch p.Value.In {
		case "path":
			d.Target = strings.Replace(d.op.Path, "{"+p.Value.Name+"}", value, 1)
			return "path parameter"
		case "query":
			if p.Value.Schema.Value.Pattern == "" && !p.Value.Schema.Value.Type.Is("integer") {
				continue
			}
			values, _ := url.ParseQuery(query)
			values.Del(p.Value.Name)
			d.Target = path + "?" + p.Value.Name + "=" + value + "&" + values.Encode()
			return "query parameter"
		}
	}
	return ""
}

func wrongMedia(d *draft) string {
	d.Header.Set("Content-Type", pick(d.rng, []string{"text/plain", "application/xml", "multipart/form-data; boundary=x", "json", ";", "application/octet-stream",
		"application/problem+json", "application/" + d.Secret}))
	return "media type"
}

func compressed(d *draft) string {
	d.Header.Set("Content-Encoding", pick(d.rng, []string{"gzip", "br", d.Secret}))
	return "compressed"
}

func noBody(d *draft) string {
	d.bodyless, d.Body = true, strings.Repeat(pick(d.rng, []string{" ", "\n", "\t"}), d.rng.IntN(99))
	return "no body"
}

// wrongType puts a value of another type at the place of one.
func wrongType(d *draft) string {
	n := pick(d.rng, d.root.all())
	texts := []string{"null"}
	secret := quote(d.Secret)
	number := fmt.Sprint(d.rng.Int32())
	switch {
	case n.schema.Type.Is("string"):
		texts = append(texts, number, "["+secret+"]")
	case n.schema.Type.Is("object"):
		texts = append(texts, number, secret, "["+secret+"]")
	case n.schema.Type.Is("array"):
		texts = append(texts, number, secret, `{"a":`+secret+"}")
	default:
		texts = append(texts, secret, `{"a":`+secret+"}")
	}
	n.raw = pick(d.rng, texts)
	return "wrong type"
}

func missing(d *draft) string {
	n := pick(d.rng, d.nodes(is("object")))
	if len(n.schema.Required) == 0 {
		return ""
	}
	name := pick(d.rng, n.schema.Required)
	n.members = slices.DeleteFunc(n.members, func(m member) bool { return m.name == name })
	return "missing " + name
}

func unknown(d *draft) string {
	n := pick(d.rng, d.nodes(is("object")))
	name := pick(d.rng, []string{d.Secret, "__proto__", "", "constructor", "清号", strings.Repeat("x", d.rng.IntN(3000))})
	n.members = append(n.members, member{name, &node{raw: quote(d.Secret)}})
	return "unknown property"
}

func twice(d *draft) string {
	n := pick(d.rng, d.nodes(is("object")))
	if len(n.members) == 0 {
		return ""
	}
	again := pick(d.rng, n.members)
	n.members = append(n.members, again)
	return again.name + " twice"
}

func overlong(d *draft) string {
	bounded := d.nodes(func(n *node) bool {
		return n.schema.MaxLength != nil || n.schema.Pattern != "" || n.schema.Format != ""
	})
	if len(bounded) == 0 {
		return ""
	}
	pick(d.rng, bounded).raw = quote(d.Secret + strings.Repeat(pick(d.rng, []string{"9", "a", "清", " "}), 600+d.rng.IntN(9000)))
	return "over-long"
}

func outOfBounds(d *draft) string {
	bounded := d.nodes(func(n *node) bool { return n.schema.Min != nil || n.schema.MinLength > 0 })
	if len(bounded) == 0 {
		return ""
	}
	n := pick(d.rng, bounded)
	switch {
	case n.schema.MinLength > 0:
		n.raw = `""`
	case n.schema.Max != nil && d.rng.IntN(2) == 0:
		n.raw = fmt.Sprint(int64(*n.schema.Max) + 1 + d.rng.Int64N(1e9))
	default:
		n.raw = fmt.Sprint(int64(*n.schema.Min) - 1 - d.rng.Int64N(1e9))
	}
	return "out of bounds"
}

func offPattern(d *draft) string {
	bound := d.nodes(func(n *node) bool {
		return n.schema.Pattern != "" || n.schema.Format == "date-time" || len(n.schema.Enum) > 0
	})
	if len(bound) == 0 {
		return ""
	}
	pick(d.rng, bound).raw = quote(pick(d.rng, []string{"", "+", "<", "'", "\u202e", "\x00", "０"}) + d.Secret + "!")
	return "off pattern"
}

func brokenOff(d *draft) string {
	whole := d.root.String()
	d.Body = whole[:1+d.rng.IntN(len(whole)-1)]
	return "broken off"
}

// strayByte puts in a byte that is allowed nowhere in JSON.
func strayByte(d *draft) string {
	whole := d.root.String()
	at := d.rng.IntN(len(whole))
	d.Body = whole[:at] + pick(d.rng, []string{"\x00", "\x01", "\xff", "\xc0\xaf", "\xed\xa0\x80", "\x1f"}) + whole[at:]
	return "stray byte"
}

func hugeNumber(d *draft) string {
	numbers := d.nodes(is("integer"))
	if len(numbers) == 0 {
		return ""
	}
	pick(d.rng, numbers).raw = pick(d.rng, []string{"1e999", "-1e999", "1.5", "0x10", "01", "NaN", "-", "1e", "." + d.Secret, strings.Repeat("9", 20+d.rng.IntN(900))})
	return "number"
}

func deep(d *draft) string {
	depth := 20 + d.rng.IntN(900)
	open, shut := "[", "]"
	if d.rng.IntN(2) == 0 {
		open, shut = `{"a":`, "}"
	}
	pick(d.rng, d.root.all()).raw = strings.Repeat(open, depth) + "1" + strings.Repeat(shut, depth)
	return "deep"
}

func trailing(d *draft) string {
	d.Body = d.root.String() + pick(d.rng, []string{"{}", "]", ",", "null", quote(d.Secret), "\x00", "//" + d.Secret})
	return "trailing"
}

func formTwice(d *draft) string {
	form := d.form()
	for name := range form {
		form.Add(name, d.Secret)
	}
	d.Body = form.Encode()
	return "parameter twice"
}

func formMissing(d *draft) string {
	form := d.form()
	for _, name := range d.root.schema.Required {
		form.Del(name)
	}
	form.Set("x"+d.Secret, "1")
	d.Body = form.Encode()
	return "parameter missing"
}

func formWrong(d *draft) string {
	form := d.form()
	form.Set("grant_type", pick(d.rng, []string{"", "password", "authorization_code", "\x00", "清号"})+d.Secret)
	d.Body = form.Encode()
	return "another grant"
}

func formLong(d *draft) string {
	form := d.form()
	form.Set("scope", strings.Repeat(d.Secret+" ", 50+d.rng.IntN(500)))
	d.Body = form.Encode()
	return "over-long"
}
