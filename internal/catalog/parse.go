package catalog

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
)

// Limits of a catalogue file.
const (
	FileBytesMax      = 1 << 20
	AppsMax           = 1000
	nameCharactersMax = 24
	companyCharsMax   = 64
	badgeLettersMax   = 2
	badgeContrastMin  = 4.5 // WCAG 2.2 AA for text
)

// ErrInvalid is in the chain of every error of Parse.
var ErrInvalid = errors.New("invalid catalogue")

var (
	idForm     = regexp.MustCompile(`^[a-z][a-z0-9]{1,31}$`)
	colourForm = regexp.MustCompile(`^#[0-9a-f]{6}$`)
)

// entry is an app as the file says it.
type entry struct {
	ID      string `yaml:"id"`
	Name    Text   `yaml:"name"`
	Company Text   `yaml:"company"`
	Kind    Kind   `yaml:"kind"`
	Badge   string `yaml:"badge"`
	Colour  string `yaml:"colour"`
}

// Parse reads a catalogue file as apps.yaml documents it. It is strict: an unknown field, a missing one, an id twice or
// a colour too light for its text is an error that names the app and the field, with ErrInvalid in its chain.
func Parse(raw []byte) (*Catalog, error) {
	if len(raw) > FileBytesMax {
		return nil, fmt.Errorf("%w: larger than %d bytes", ErrInvalid, FileBytesMax)
	}
	var file struct {
		Apps []entry `yaml:"apps"`
	}
	if err := yaml.UnmarshalWithOptions(raw, &file, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if n := len(file.Apps); n == 0 || n > AppsMax {
		return nil, fmt.Errorf("%w: %d apps, want 1 to %d", ErrInvalid, n, AppsMax)
	}
	return build(file.Apps)
}

func build(entries []entry) (*Catalog, error) {
	c := &Catalog{byID: make(map[string]int, len(entries))}
	for i, e := range entries {
		if err := e.check(); err != nil {
			return nil, fmt.Errorf("%w: app %d (%s): %w", ErrInvalid, i+1, e.ID, err)
		}
		if first, twice := c.byID[e.ID]; twice {
			return nil, fmt.Errorf("%w: app %d (%s): the id is that of app %d too", ErrInvalid, i+1, e.ID, first+1)
		}
		c.byID[e.ID] = i
		c.apps = append(c.apps, App(e))
	}
	return c, nil
}

func (e entry) check() error {
	switch {
	case !idForm.MatchString(e.ID):
		return errors.New("id: want 2 to 32 of a-z and 0-9, beginning with a letter")
	case !slices.Contains(Kinds(), e.Kind):
		return fmt.Errorf("kind: %q is none of %v", e.Kind, Kinds())
	case !isBadge(e.Badge):
		return fmt.Errorf("badge: %q is neither one Chinese character nor up to two letters", e.Badge)
	case !colourForm.MatchString(e.Colour):
		return fmt.Errorf("colour: %q is not #rrggbb in lower case", e.Colour)
	case contrastWithWhite(e.Colour) < badgeContrastMin:
		return fmt.Errorf("colour: white text on %s has a contrast of %.2f, want %.1f", e.Colour, contrastWithWhite(e.Colour), badgeContrastMin)
	}
	return errors.Join(
		checkText("name.zh-CN", e.Name.ZhCN, nameCharactersMax), checkText("name.en", e.Name.En, nameCharactersMax),
		checkText("company.zh-CN", e.Company.ZhCN, companyCharsMax), checkText("company.en", e.Company.En, companyCharsMax))
}

// checkText refuses what could break a text message or a page: control characters, direction marks, spaces around it.
func checkText(field, s string, charactersMax int) error {
	switch n := utf8.RuneCountInString(s); {
	case n == 0:
		return fmt.Errorf("%s: missing", field)
	case n > charactersMax:
		return fmt.Errorf("%s: %d characters, at most %d", field, n, charactersMax)
	case s != strings.TrimSpace(s):
		return fmt.Errorf("%s: spaces around it", field)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("%s: characters that cannot be shown", field)
	}
	return nil
}

func isBadge(s string) bool {
	n := utf8.RuneCountInString(s)
	han := func(r rune) bool { return !unicode.Is(unicode.Han, r) }
	letter := func(r rune) bool { return !unicode.IsUpper(r) && !unicode.IsLower(r) && !unicode.IsDigit(r) }
	switch {
	case n == 0 || !utf8.ValidString(s):
		return false
	case !strings.ContainsFunc(s, han):
		return n == 1
	default:
		return n <= badgeLettersMax && !strings.ContainsFunc(s, letter)
	}
}
