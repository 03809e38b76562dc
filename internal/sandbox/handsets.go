package sandbox

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"untether/internal/api/respond"
	"untether/internal/fault"
	"untether/internal/phone"
	"untether/internal/portal"
	"untether/internal/sandbox/carriers"
	"untether/internal/sandbox/people"
	"untether/internal/words"
)

//go:embed pages
var pageFiles embed.FS

const (
	shownMax     = 40
	formBytesMax = 8 << 10
	stylesheet   = "/handsets/handsets.css"
	freshFor     = 90 * time.Second // how long a text counts as new on its screen
)

// Pages lends the handsets the looks of the product's own pages. *portal.Portal is one.
type Pages interface {
	Language(r *http.Request) words.Language
	WritePage(w http.ResponseWriter, r *http.Request, status int, page portal.Page)
	Protect(next http.Handler) http.Handler
}

// Handler serves /sandbox/v1/ and /handsets.
func (c *Country) Handler(pages Pages) http.Handler {
	api := http.NewServeMux()
	c.control(api)
	h := &handsetPages{c, pages, parsePages()}
	html := http.NewServeMux()
	html.HandleFunc("GET /handsets", h.list)
	html.HandleFunc("GET /handsets/{$}", h.list)
	html.HandleFunc("GET "+stylesheet, h.style)
	html.HandleFunc("GET /handsets/{number}", h.handset)
	html.HandleFunc("GET /handsets/{number}/thread", h.thread)
	html.HandleFunc("POST /handsets/{number}/messages", h.write)
	html.HandleFunc("POST /handsets/{number}/clock", h.advance)
	all := http.NewServeMux()
	all.Handle("/sandbox/v1/", c.programs(respond.Routes(c.log, api)))
	all.Handle("/", pages.Protect(respond.Routes(c.log, html)))
	return respond.Recover(c.log)(all)
}

// programs is what stands before the control API: bounded headers, x-correlator, and no other site's page.
func (c *Country) programs(next http.Handler) http.Handler {
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		respond.Fail(w, r, c.log, errElsewhere)
	}))
	return respond.Headers(c.log)(respond.Correlator(c.log)(guard.Handler(next)))
}

var errElsewhere = fault.New(fault.Forbidden, "CROSS_ORIGIN", "The request came from another site's page.")

// handsetPages are the pages under /handsets.
type handsetPages struct {
	*Country
	pages     Pages
	templates map[words.Language]*template.Template
}

func parsePages() map[words.Language]*template.Template {
	all := map[words.Language]*template.Template{}
	for _, l := range words.Languages() {
		all[l] = template.Must(template.New("").Funcs(template.FuncMap{
			"text":    func(key string, pairs ...any) string { return tell(l, key, pairs...) },
			"in":      func(t interface{ In(words.Language) string }) string { return t.In(l) },
			"carrier": func(id string) string { return carrierName(l, id) },
			"spaced":  spaced,
			"many":    message.NewPrinter(language.Make(string(l))).Sprint,
			"day":     func(t time.Time) string { return dayIn(l, t) },
			"hour":    func(t time.Time) string { return t.In(people.Zone).Format("15:04") },
			"initial": initial,
		}).ParseFS(pageFiles, "pages/*.html"))
	}
	return all
}

// person is a subscriber as the pages show them.
type person struct {
	carriers.Subscriber
	LastSix string
}

func personOf(s carriers.Subscriber) person { return person{s, s.Person.Document.LastSix().Reveal()} }

// Path is the person's phone's address.
func (p person) Path() string { return pathOf(p.Number) }

// numberOf reads a number from a page's address, where it stands without its plus sign.
func numberOf(s string) (phone.Number, error) { return phone.Parse("+" + strings.TrimPrefix(s, "+")) }

func pathOf(n phone.Number) string { return "/handsets/" + strings.TrimPrefix(n.E164(), "+") }

type listView struct {
	Query  string
	People []person
	Sample person
	All    int
	More   bool
}

func (h *handsetPages) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query().Get("q")
	if _, err := queryOf(q); err != nil {
		q = ""
	}
	v := listView{Query: q, All: len(h.carriers.Subscribers())}
	needle, _ := queryOf(q)
	for i, s := range h.find(needle, shownMax+1) {
		if v.More = i == shownMax; !v.More {
			v.People = append(v.People, personOf(s))
		}
	}
	if s, ok := h.carriers.Subscriber(h.sample); ok && q == "" {
		v.Sample = personOf(s)
	}
	l := h.pages.Language(r)
	h.page(w, r, http.StatusOK, "list", tell(l, "list.title"), v)
}

// page writes one of the templates in the portal's frame.
func (h *handsetPages) page(w http.ResponseWriter, r *http.Request, status int, name, title string, v any) {
	var b bytes.Buffer
	if err := h.templates[h.pages.Language(r)].ExecuteTemplate(&b, name, v); err != nil {
		h.log.ErrorContext(r.Context(), "page not written", "page", name, "error", err)
		http.Error(w, "500", http.StatusInternalServerError)
		return
	}
	h.pages.WritePage(w, r, status, portal.Page{Title: title, Body: template.HTML(b.String()), Stylesheets: []string{stylesheet}, Wide: true})
}

func (h *handsetPages) style(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-cache")
	http.ServeFileFS(w, r, pageFiles, "pages/handsets.css")
}

type handsetView struct {
	Number  phone.Number
	Path    string
	Person  person
	Held    bool // somebody holds the number
	Thread  threadView
	Now     time.Time
	Truth   []truthRow
	NotSent bool
	Short   string
}

func (h *handsetPages) handset(w http.ResponseWriter, r *http.Request) {
	number, err := numberOf(r.PathValue("number"))
	if err == nil && !h.carriers.Has(number) {
		err = respond.ErrNotFound
	}
	if err != nil {
		h.page(w, r, http.StatusNotFound, "nobody", tell(h.pages.Language(r), "list.title"), nil)
		return
	}
	l := h.pages.Language(r)
	s, held := h.carriers.Subscriber(number)
	v := handsetView{Number: number, Path: pathOf(number), Person: personOf(s), Held: held, Now: h.clock.Now(), Short: ShortCode,
		Thread: h.threadOf(number, l), NotSent: r.URL.Query().Get("notSent") != ""}
	title := tell(l, "phone.goneTitle")
	if held {
		title = tell(l, "phone.title", "name", s.Person.Name)
		truth, err := h.apps.Truth(r.Context(), map[phone.Number]time.Time{number: s.TenureStart})
		if err != nil {
			h.log.ErrorContext(r.Context(), "no truth to show", "error", err)
		}
		v.Truth = h.truthRows(truth[number])
	}
	h.page(w, r, http.StatusOK, "handset", title, v)
}

type truthRow struct {
	ID, Badge string
	Name      interface{ In(words.Language) string }
	people.Counts
}

func (h *handsetPages) truthRows(counts map[string]people.Counts) []truthRow {
	var rows []truthRow
	for _, app := range h.catalog.Apps() {
		if n, ok := counts[app.ID]; ok {
			rows = append(rows, truthRow{app.ID, app.Badge, app.Name, n})
		}
	}
	return rows
}

// threadView is the part of a screen that changes: the clock and the texts.
type threadView struct {
	Path    string
	Version string
	Now     time.Time
	Lines   []line
	Swapped bool // fetched by htmx, not part of a whole page
}

// line is one text on a screen, with the day in front when it is the first of it, and its sender when that changed.
type line struct {
	Day    string
	Sender string
	Mine   bool
	Fresh  bool // came a short while ago
	Now    bool // came since this screen last looked
	At     time.Time
	Pieces []piece
}

// piece is a run of a text; codes stand out, as on real phones.
type piece struct {
	Text string
	Code bool
}

func (h *handsetPages) threadOf(n phone.Number, l words.Language) threadView {
	now := h.clock.Now()
	v := threadView{Path: pathOf(n), Now: now}
	lastDay, lastSender := "", ""
	for _, m := range h.conversation(n) {
		e := line{Mine: m.From == n.E164(), At: m.At, Fresh: m.From != n.E164() && now.Sub(m.At) < freshFor, Pieces: pieces(m.Text)}
		if day := dayIn(l, m.At); day != lastDay {
			e.Day, lastDay, lastSender = day, day, ""
		}
		if m.From != lastSender {
			e.Sender, lastSender = m.From, m.From
		}
		v.Lines = append(v.Lines, e)
	}
	v.Version = version(v)
	return v
}

// version changes whenever the screen would look different. It begins with the number of texts.
func version(v threadView) string {
	last, fresh := int64(0), 0
	for _, e := range v.Lines {
		last = e.At.UnixMilli()
		if e.Fresh {
			fresh++
		}
	}
	return fmt.Sprintf("%d-%d-%d-%d", len(v.Lines), last, fresh, v.Now.Unix()/60)
}

var codePattern = regexp.MustCompile(`\b[0-9]{6}\b`)

func pieces(text string) []piece {
	var all []piece
	at := 0
	for _, m := range codePattern.FindAllStringIndex(text, -1) {
		all = append(all, piece{text[at:m[0]], false}, piece{text[m[0]:m[1]], true})
		at = m[1]
	}
	return append(all, piece{text[at:], false})
}

// thread answers a screen that asks whether there is anything new: 204 when not.
func (h *handsetPages) thread(w http.ResponseWriter, r *http.Request) {
	number, err := numberOf(r.PathValue("number"))
	if err != nil || !h.carriers.Has(number) {
		respond.Fail(w, r, h.log, respond.ErrNotFound)
		return
	}
	l := h.pages.Language(r)
	v := h.threadOf(number, l)
	seen := r.URL.Query().Get("seen")
	if seen == v.Version {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	v.Swapped = true
	count, _, _ := strings.Cut(seen, "-")
	if known, err := strconv.Atoi(count); err == nil {
		for i := max(0, known); i < len(v.Lines); i++ {
			v.Lines[i].Now = true
		}
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := h.templates[l].ExecuteTemplate(w, "thread", v); err != nil {
		h.log.WarnContext(r.Context(), "a screen was not written", "error", err)
	}
}

// write sends what the person typed to the short code.
func (h *handsetPages) write(w http.ResponseWriter, r *http.Request) {
	number, ok := h.form(w, r)
	if !ok {
		return
	}
	back := pathOf(number)
	if text := r.PostForm.Get("text"); !utf8.ValidString(text) || strings.TrimSpace(text) == "" {
		back += "?notSent=1"
	} else if _, err := h.send(number, text); err != nil {
		back += "?notSent=1"
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
}

// advance sets the clock ahead by what the pressed button says.
func (h *handsetPages) advance(w http.ResponseWriter, r *http.Request) {
	number, ok := h.form(w, r)
	if !ok {
		return
	}
	by, err := durationOf(r.PostForm.Get("advance"))
	if err == nil {
		err = h.Advance(by)
	}
	if err != nil {
		respond.Fail(w, r, h.log, err)
		return
	}
	http.Redirect(w, r, pathOf(number), http.StatusSeeOther)
}

// form reads a bounded form of a handset that exists; it has answered when it is false.
func (h *handsetPages) form(w http.ResponseWriter, r *http.Request) (phone.Number, bool) {
	number, err := numberOf(r.PathValue("number"))
	if err != nil || !h.carriers.Has(number) {
		respond.Fail(w, r, h.log, respond.ErrNotFound)
		return number, false
	}
	r.Body = http.MaxBytesReader(w, r.Body, formBytesMax)
	if err := r.ParseForm(); err != nil {
		respond.Fail(w, r, h.log, respond.ErrTooLarge.Because(err))
		return number, false
	}
	return number, true
}

func carrierName(l words.Language, id string) string {
	for _, k := range people.Carriers {
		if k.ID == id && l == words.En {
			return k.NameEn
		} else if k.ID == id {
			return k.NameZhCN
		}
	}
	return id
}

// spaced writes a Chinese number as people read it out: 138 1234 5678.
func spaced(n phone.Number) string {
	s := n.E164()
	if national, chinese := strings.CutPrefix(s, "+86"); chinese && len(national) == 11 {
		return national[:3] + " " + national[3:7] + " " + national[7:]
	}
	return s
}

func dayIn(l words.Language, t time.Time) string {
	if t = t.In(people.Zone); l == words.En {
		return t.Format("2 January 2006")
	}
	return t.Format("2006年1月2日")
}

func initial(name string) string {
	r, _ := utf8.DecodeRuneInString(name)
	return string(r)
}
