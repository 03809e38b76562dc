package words

import (
	"embed"
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"
)

//go:embed zh-CN.yaml en.yaml
var files embed.FS

// tongue is one language's texts, ready to say.
type tongue struct {
	localizer *i18n.Localizer
	plural    map[string]bool // keys that have more than one form, and so take a count
}

var tongues = load()

func load() map[Language]*tongue {
	all := make(map[Language]*tongue, 2)
	for _, l := range Languages() {
		all[l] = loadOne(l)
	}
	return all
}

// loadOne panics when a file inside the binary cannot be read: no build that passed its tests does.
func loadOne(l Language) *tongue {
	tag := language.MustParse(string(l))
	bundle := i18n.NewBundle(tag)
	bundle.RegisterUnmarshalFunc("yaml", yaml.Unmarshal)
	file, err := bundle.LoadMessageFileFS(files, string(l)+".yaml")
	if err != nil {
		panic(fmt.Sprintf("words: %s: %v", l, err))
	}
	t := &tongue{localizer: i18n.NewLocalizer(bundle, string(l)), plural: map[string]bool{}}
	for _, m := range file.Messages {
		t.plural[m.ID] = m.One != ""
	}
	return t
}

// Has tells whether there is a text under the key.
func Has(key string) bool {
	_, ok := tongues[ZhCN].plural[key]
	return ok
}

// Say gives the text under key in a language. The pairs are name, value, name, value …, put where the text says
// {{.name}}; the value of "count", a whole number, also selects the plural form. An unknown language speaks Chinese. A key
// that does not exist is said as it is, so that a page stays readable; a test finds those in our own source.
func Say(lang Language, key string, pairs ...any) string {
	t, ok := tongues[lang]
	if !ok {
		t = tongues[ZhCN]
	}
	takesCount, ok := t.plural[key]
	if !ok {
		return key
	}
	config := i18n.LocalizeConfig{MessageID: key, TemplateData: pairs, TemplateParser: blanks{}}
	if takesCount {
		config.PluralCount = valueOf(pairs, "count")
	}
	said, _ := t.localizer.Localize(&config) // its errors: no template for an empty text, or no count given
	return said
}
