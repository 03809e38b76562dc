package portal

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"untether/internal/phone"
	"untether/internal/words"
)

//go:embed templates
var templateFiles embed.FS

// pageSet is every page in one language.
type pageSet map[string]*template.Template

var pageNames = []string{"home", "verify", "search", "message", "page"}

// newPages parses every page once per language; a mistake in a template is found when the program starts.
func newPages(p *Portal) map[words.Language]pageSet {
	all := map[words.Language]pageSet{}
	for _, l := range words.Languages() {
		set := pageSet{}
		shared := template.Must(template.New("").Funcs(p.functions(l)).ParseFS(templateFiles, "templates/layout.html"))
		for _, name := range pageNames {
			set[name] = template.Must(template.Must(shared.Clone()).ParseFS(templateFiles, "templates/"+name+".html"))
		}
		all[l] = set
	}
	return all
}

func (p *Portal) functions(l words.Language) template.FuncMap {
	return template.FuncMap{
		"say":    func(key string, pairs ...any) string { return words.Say(l, key, pairs...) },
		"in":     func(t interface{ In(words.Language) string }) string { return t.In(l) },
		"masked": maskedForPeople,
	}
}

// maskedForPeople writes a masked number with spaces, and without the country at home: 138 **** 5678.
func maskedForPeople(n phone.Number) string {
	s := strings.ReplaceAll(n.Masked(), "****", " **** ")
	return strings.TrimPrefix(s, "+86")
}

// view is what the layout needs, and the page's own content.
type view struct {
	Title      string
	Here       string // the address that the language switch leads back to
	Stylesheet []string
	Refresh    int // seconds; 0 for never; only where scripts are off
	Wide       bool
	ShowSample bool // the notice's made-up person, on the pages that ask for what is known of them
	Content    any

	Language words.Language // the rest is filled in by render
	Other    words.Language
	Assets   assets
	Notice   *Notice
	Brand    string
}

// render writes a page, whole or not at all.
func (p *Portal) render(w http.ResponseWriter, r *http.Request, status int, page string, v view) {
	p.renderPart(w, r, status, page, "layout", v)
}

func (p *Portal) renderPart(w http.ResponseWriter, r *http.Request, status int, page, part string, v view) {
	v.Language = p.Language(r)
	v.Other = words.En
	if v.Language == words.En {
		v.Other = words.ZhCN
	}
	v.Assets, v.Notice, v.Brand = p.assets, p.Notice, p.Brand.In(v.Language)
	var b bytes.Buffer
	if err := p.pages[v.Language][page].ExecuteTemplate(&b, part, v); err != nil {
		p.Log.ErrorContext(r.Context(), "page not written", "page", page, "error", err)
		http.Error(w, "500", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", string(v.Language))
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.Header().Add("Vary", "Accept-Language, Cookie")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// Page is a page of another package in the looks of these.
type Page struct {
	Title       string
	Body        template.HTML
	Stylesheets []string // addresses on this host, after the portal's own
	Wide        bool     // use the whole width of a large screen
}

// WritePage writes a page of another package with this portal's layout, headers and language, and no-store. The body
// must hold no inline script and no style attribute: the policy forbids both. htmx is loaded.
func (p *Portal) WritePage(w http.ResponseWriter, r *http.Request, status int, page Page) {
	setHeaders(w.Header())
	p.render(w, r, status, "page", view{
		Title: page.Title, Here: withoutLang(r.URL), Stylesheet: page.Stylesheets, Wide: page.Wide, Content: page.Body,
	})
}

// Protect gives a handler of another package the portal's headers, its language switch and its refusal of other sites'
// forms.
func (p *Portal) Protect(next http.Handler) http.Handler { return p.protect(p.languageSwitch(next)) }

// LangLink is the address of the other language's version of a page.
func (v view) LangLink() string {
	separator := "?"
	if strings.Contains(v.Here, "?") {
		separator = "&"
	}
	return fmt.Sprintf("%s%slang=%s", v.Here, separator, v.Other)
}
