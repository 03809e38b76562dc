// Package portal is the pages that people see: what this is, the number, the code and the identity, the answers as they
// come in, and the result. It reads a request, calls the rules, and writes a page.
//
// It guarantees that every page works without JavaScript, loads nothing from elsewhere, exists in both languages, and
// that what a person typed as code or identity is never sent back. It decides nothing: budgets, locks and who may read a
// search are the rules'.
package portal

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"untether/internal/catalog"
	"untether/internal/clock"
	"untether/internal/fault"
	"untether/internal/phone"
	"untether/internal/verification"
	"untether/internal/words"
)

// Options is what a portal is made of. Searches, Clock and Key are required; everything else has a default.
type Options struct {
	Searches Searches
	Clock    clock.Clock
	Key      [32]byte // seals what the browser keeps between two pages; every replica needs the same one

	Catalog       *catalog.Catalog     // default: catalog.Default()
	Channel       verification.Channel // the channel that these pages are; default "portal" with the usual budgets
	Log           *slog.Logger         // default: none
	Place         *time.Location       // civil time on the pages; default Asia/Shanghai
	SecureCookies bool                 // set behind TLS

	Brand       catalog.Text // stands in front of the title; default none
	ServiceName catalog.Text // where to look closer: the service …
	Menu        catalog.Text // … and its menu
	ShortCode   string       // the sender of the texts; default 10699000
	Notice      *Notice      // shown on top of every page; default none
}

// Notice is a remark on top of every page: a demonstration says that it is one.
type Notice struct {
	Text   catalog.Text
	Links  []NoticeLink
	Sample *Sample
}

// NoticeLink leads from the notice to another page of this host.
type NoticeLink struct {
	Text catalog.Text
	Href string
}

// Sample is a made-up person to try the pages with.
type Sample struct {
	Name        string
	PhoneNumber string
	LastSix     string
}

// Portal is the pages as an http.Handler for the whole of "/".
type Portal struct {
	Options
	assets  assets
	pages   map[words.Language]pageSet
	seal    sealer
	handler http.Handler
}

// New makes the pages. Its error is for whoever configures it.
func New(o Options) (*Portal, error) {
	if o.Searches == nil || o.Clock == nil {
		return nil, errors.New("portal: Searches and Clock are required")
	}
	if o.Key == ([32]byte{}) {
		return nil, errors.New("portal: Key is required")
	}
	p := &Portal{Options: o.withDefaults()}
	p.seal = newSealer(p.Key)
	p.assets = newAssets(p.Catalog)
	p.pages = newPages(p)
	p.handler = p.protect(p.routes())
	return p, nil
}

// Where pages and texts tell people to look closer, until whoever runs the hub says otherwise.
var (
	ServiceNameDefault = catalog.Text{ZhCN: "微信公众号“清号”", En: "WeChat account Qinghao"}
	MenuDefault        = catalog.Text{ZhCN: "我的查询", En: "My searches"}
)

func (o Options) withDefaults() Options {
	if o.Catalog == nil {
		o.Catalog = catalog.Default()
	}
	if o.Channel.ID == "" {
		o.Channel = verification.Channel{ID: "portal", Codes: verification.CodesDefault, Guesses: verification.GuessesDefault}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Place == nil {
		o.Place = shanghai()
	}
	if o.ServiceName == (catalog.Text{}) {
		o.ServiceName = ServiceNameDefault
	}
	if o.Menu == (catalog.Text{}) {
		o.Menu = MenuDefault
	}
	if o.ShortCode == "" {
		o.ShortCode = "10699000"
	}
	return o
}

// shanghai is China's civil time; it has had no summer time since 1991, so a machine without zone data loses nothing.
func shanghai() *time.Location {
	if place, err := time.LoadLocation("Asia/Shanghai"); err == nil {
		return place
	}
	return time.FixedZone("CST", 8*60*60)
}

// ServeHTTP answers one request.
func (p *Portal) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.handler.ServeHTTP(w, r) }

func (p *Portal) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.home)
	mux.HandleFunc("POST /code", p.requestCode)
	mux.HandleFunc("POST /code/again", p.requestCodeAgain)
	mux.HandleFunc("GET /verify", p.verify)
	mux.HandleFunc("GET /verify/again", p.verifyAgain)
	mux.HandleFunc("POST /search", p.startSearch)
	mux.HandleFunc("GET /searches/{id}", p.search)
	mux.HandleFunc("GET /searches/{id}/progress", p.searchProgress)
	mux.HandleFunc("GET /static/{name}", p.assets.serve)
	// A form's address that is opened anew (a reload in a web view, a restored tab) leads to the form.
	mux.Handle("GET /code", http.RedirectHandler("/", http.StatusSeeOther))
	mux.Handle("GET /code/again", http.RedirectHandler("/verify", http.StatusSeeOther))
	mux.Handle("GET /search", http.RedirectHandler("/verify", http.StatusSeeOther))
	return p.languageSwitch(p.prettyErrors(mux))
}

// prettyErrors answers what no route takes in the looks of the other pages.
func (p *Portal) prettyErrors(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		bare := &statusOnly{header: http.Header{}}
		mux.ServeHTTP(bare, r)
		if allow := bare.header.Get("Allow"); allow != "" {
			w.Header().Set("Allow", allow)
			p.fail(w, r, errMethod)
			return
		}
		p.fail(w, r, errNoPage)
	})
}

// statusOnly hears what the mux would have said.
type statusOnly struct{ header http.Header }

func (s *statusOnly) Header() http.Header         { return s.header }
func (s *statusOnly) Write(b []byte) (int, error) { return len(b), nil }
func (s *statusOnly) WriteHeader(int)             {}

// formBytesMax bounds a form: the longest honest one has some hundred bytes.
const formBytesMax = 8 << 10

// readForm reads a bounded form body; what cannot be read is the stranger's fault.
func readForm(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, formBytesMax)
	if err := r.ParseForm(); err != nil {
		return errForm.Because(err)
	}
	return nil
}

// protect puts the headers on every answer and refuses what another site sends in a person's name.
func (p *Portal) protect(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.fail(w, r, errElsewhere) }))
	guarded := cross.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setHeaders(w.Header())
		guarded.ServeHTTP(w, r)
	})
}

// setHeaders: the referrer stays within the site instead of never being sent, because with "no-referrer" a browser sends
// its own forms with "Origin: null", which looks like another site's.
func setHeaders(h http.Header) {
	h.Set("Content-Security-Policy",
		"default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
	h.Set("Cache-Control", "no-store")
}

// The pages' own errors.
var (
	errNoPage    = fault.New(fault.NotFound, "NO_PAGE", "There is no such page.")
	errMethod    = fault.New(fault.Invalid, "METHOD_NOT_ALLOWED", "This address does not take that method.")
	errElsewhere = fault.New(fault.Forbidden, "CROSS_ORIGIN", "The form came from another site.")
	errForm      = fault.New(fault.Invalid, "FORM", "The form could not be read.")
	errStepLost  = fault.New(fault.Conflict, "STEP_LOST", "Please begin with the number again.")
)

// requestCodeFor asks for a code and remembers it for the second page. A button pressed twice asks twice under one press:
// the second time is answered like the first and sends nothing, so that nobody is told off for an unsteady hand.
func (p *Portal) requestCodeFor(ctx context.Context, number phone.Number, lang words.Language, press string) (step, error) {
	ticket, err := p.Searches.RequestCode(ctx, p.Channel, number, lang, press)
	if err != nil {
		return step{}, err
	}
	return step{CodeID: ticket.ID, Number: number.E164(), SentAt: p.Clock.Now().Unix(), ExpiresAt: ticket.ExpiresAt.Unix()}, nil
}
