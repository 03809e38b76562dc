// Package catalog is the apps that a search asks: their names in both languages, who answers for them, what they are for,
// and how a page shows them. It is data: Default reads a file inside the binary, Parse reads an operator's own.
//
// It guarantees that a Catalog that was read is whole (every field of every app, no id twice) and that its order never
// changes. It does not know whether an app takes part or answers.
package catalog

import (
	_ "embed"
	"slices"

	"untether/internal/words"
)

// Kind is what an app is for.
type Kind string

// The kinds.
const (
	Payment  Kind = "payment"
	Social   Kind = "social"
	Shopping Kind = "shopping"
	Video    Kind = "video"
	News     Kind = "news"
	Search   Kind = "search"
	Local    Kind = "local"
	Travel   Kind = "travel"
	Mail     Kind = "mail"
	Cloud    Kind = "cloud"
	Game     Kind = "game"
	Other    Kind = "other"
)

// Kinds lists every kind, those with most at stake first.
func Kinds() []Kind {
	return []Kind{Payment, Social, Shopping, Local, Video, News, Search, Travel, Mail, Cloud, Game, Other}
}

// App is one app. Its fields are documented at the top of apps.yaml.
type App struct {
	ID      string
	Name    Text
	Company Text
	Kind    Kind
	Badge   string // one Chinese character or up to two letters
	Colour  string // #rrggbb, dark enough for white text
}

// Text is a short text in both languages.
type Text struct {
	ZhCN string `yaml:"zh-CN"`
	En   string `yaml:"en"`
}

// In gives the text in a language.
func (t Text) In(l words.Language) string {
	if l == words.En {
		return t.En
	}
	return t.ZhCN
}

// Catalog is the apps in their order. It does not change once it was read, so anyone may share it.
type Catalog struct {
	apps []App
	byID map[string]int
}

// Apps gives every app in its order; the slice is the caller's own.
func (c *Catalog) Apps() []App { return slices.Clone(c.apps) }

// Find gives the app with an id.
func (c *Catalog) Find(id string) (App, bool) {
	i, ok := c.byID[id]
	if !ok {
		return App{}, false
	}
	return c.apps[i], true
}

// IDs gives every app's id in order.
func (c *Catalog) IDs() []string {
	ids := make([]string, len(c.apps))
	for i, a := range c.apps {
		ids[i] = a.ID
	}
	return ids
}

//go:embed apps.yaml
var builtIn []byte

var standard = mustParse(builtIn)

func mustParse(raw []byte) *Catalog {
	c, err := Parse(raw)
	if err != nil {
		panic("catalog: the built-in file: " + err.Error())
	}
	return c
}

// Default is the sixteen apps that the program comes with.
func Default() *Catalog { return standard }
