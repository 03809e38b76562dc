package words

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/nicksnyder/go-i18n/v2/i18n/template"
)

// blanks reads texts whose only markup is {{.name}}. It stands in for text/template, which costs ten times as much for
// every text sent and would let a translation call methods.
type blanks struct{}

var blank = regexp.MustCompile(`\{\{\.([a-zA-Z]+)\}\}`)

// filled is a text cut at its blanks: pieces[i] stands before names[i], the last piece after them all.
type filled struct {
	pieces []string
	names  []string
}

// Cacheable: a parsed text never changes.
func (blanks) Cacheable() bool { return true }

// Parse cuts the text at its blanks and refuses any other use of {{.
func (blanks) Parse(text, _, _ string) (template.ParsedTemplate, error) {
	f := &filled{}
	last := 0
	for _, m := range blank.FindAllStringSubmatchIndex(text, -1) {
		f.pieces = append(f.pieces, text[last:m[0]])
		f.names = append(f.names, text[m[2]:m[3]])
		last = m[1]
	}
	f.pieces = append(f.pieces, text[last:])
	for _, p := range f.pieces {
		if strings.Contains(p, "{{") || strings.Contains(p, "}}") {
			return nil, fmt.Errorf("only {{.name}} is allowed: %q", text)
		}
	}
	return f, nil
}

// Execute fills the blanks from pairs; a name that is missing leaves its blank empty.
func (f *filled) Execute(data any) (string, error) {
	if len(f.names) == 0 {
		return f.pieces[0], nil
	}
	pairs, _ := data.([]any)
	var b strings.Builder
	for i, name := range f.names {
		b.WriteString(f.pieces[i])
		b.WriteString(plain(valueOf(pairs, name)))
	}
	b.WriteString(f.pieces[len(f.names)])
	return b.String(), nil
}

func plain(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case int:
		return strconv.Itoa(v)
	default:
		return fmt.Sprint(v)
	}
}

func valueOf(pairs []any, name string) any {
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i] == name {
			return pairs[i+1]
		}
	}
	return nil
}
