package portal

import (
	"crypto/rand"
	"net/http"
	"regexp"
	"strings"
	"time"

	"untether/internal/ident"
	"untether/internal/phone/typed"
	"untether/internal/search"
	"untether/internal/words"
)

// numberForm is the first page's form.
type numberForm struct {
	PhoneNumber string // as typed
	Press       string // names one press of the button, however often it is repeated
	Problem     problem
	Apps        int
	LastSearch  string // id of the search that this browser saw last
	ServiceName string
	Menu        string
}

// typedCharactersMax bounds what is put back into a field.
const typedCharactersMax = 64

func (p *Portal) home(w http.ResponseWriter, r *http.Request) {
	p.renderHome(w, r, http.StatusOK, numberForm{})
}

func (p *Portal) renderHome(w http.ResponseWriter, r *http.Request, status int, f numberForm) {
	lang := p.Language(r)
	f.Apps, f.Press = len(p.Catalog.IDs()), rand.Text()
	f.ServiceName, f.Menu = p.ServiceName.In(lang), p.Menu.In(lang)
	if c, err := r.Cookie(lastCookie); err == nil && searchID.MatchString(c.Value) {
		f.LastSearch = c.Value
	}
	p.render(w, r, status, "home", view{Title: p.titleOf("home.title", lang, f.Problem), Here: "/", Content: f, Wide: true, ShowSample: true})
}

// titleOf says first when something is wrong: a screen reader reads the title first.
func (p *Portal) titleOf(key string, lang words.Language, wrong problem) string {
	title := words.Say(lang, key)
	if wrong.Text == "" {
		return title
	}
	return words.Say(lang, "title.problem", "title", title)
}

// requestCode takes the number and sends the code.
func (p *Portal) requestCode(w http.ResponseWriter, r *http.Request) {
	if err := readForm(w, r); err != nil {
		p.fail(w, r, err)
		return
	}
	lang := p.Language(r)
	asTyped := clip(r.PostFormValue("phoneNumber"))
	number, err := typed.Parse(r.PostFormValue("phoneNumber"), "")
	if err != nil {
		wrong := problem{Field: "phoneNumber", Text: words.Say(lang, "problem.phoneNumber"), Status: http.StatusBadRequest}
		p.renderHome(w, r, wrong.Status, numberForm{PhoneNumber: asTyped, Problem: wrong})
		return
	}
	s, err := p.requestCodeFor(r.Context(), number, lang, pressOf(r.PostFormValue("press")))
	if err != nil {
		wrong := p.told(w, r, err, lang)
		p.renderHome(w, r, wrong.Status, numberForm{PhoneNumber: asTyped, Problem: wrong})
		return
	}
	p.keepStep(w, s)
	http.Redirect(w, r, "/verify", http.StatusSeeOther)
}

var press = regexp.MustCompile(`^[A-Z2-7]{26}$`)

// pressOf is the press that a form names; one that this page did not make is none.
func pressOf(s string) string {
	if !press.MatchString(s) {
		return ""
	}
	return s
}

// told is problemOf for a form: it logs what is our own and sets Retry-After.
func (p *Portal) told(w http.ResponseWriter, r *http.Request, err error, lang words.Language) problem {
	p.log(r, err)
	setRetryAfter(w.Header(), err)
	return p.problemOf(err, lang)
}

func clip(s string) string {
	s = strings.ToValidUTF8(s, "")
	if runes := []rune(s); len(runes) > typedCharactersMax {
		return string(runes[:typedCharactersMax])
	}
	return s
}

// requestCodeAgain sends another code to the number of the step.
func (p *Portal) requestCodeAgain(w http.ResponseWriter, r *http.Request) {
	s, ok := p.openStep(w, r)
	if !ok {
		return
	}
	lang := p.Language(r)
	newer, err := p.requestCodeFor(r.Context(), s.number(), lang, "after "+s.CodeID)
	if err != nil {
		p.renderVerify(w, r, s, p.told(w, r, err, lang))
		return
	}
	p.keepStep(w, newer)
	http.Redirect(w, r, "/verify", http.StatusSeeOther)
}

// identityForm is the second page.
type identityForm struct {
	Number     string // masked
	ValidUntil string
	Expired    bool
	Problem    problem
	Resend     resend
}

// resend is the part of the page that offers another code.
type resend struct {
	Seconds int // until it is offered; 0: it is offered already
	Wait    string
}

func (p *Portal) resendOf(s step, lang words.Language) resend {
	left := s.resendIn(p.Clock.Now())
	if left <= 0 {
		return resend{}
	}
	return resend{Seconds: int((left + time.Second - 1) / time.Second), Wait: words.Wait(lang, left)}
}

func (p *Portal) verify(w http.ResponseWriter, r *http.Request) {
	s, ok := p.openStep(w, r)
	if !ok {
		return
	}
	p.renderVerify(w, r, s, problem{Status: http.StatusOK})
}

func (p *Portal) renderVerify(w http.ResponseWriter, r *http.Request, s step, wrong problem) {
	lang := p.Language(r)
	expires := time.Unix(s.ExpiresAt, 0)
	p.render(w, r, wrong.Status, "verify", view{
		Title:      p.titleOf("verify.title", lang, wrong),
		Here:       "/verify",
		ShowSample: true,
		Content: identityForm{
			Number: maskedForPeople(s.number()), ValidUntil: words.Clock(expires, p.Place),
			Expired: !p.Clock.Now().Before(expires), Problem: wrong, Resend: p.resendOf(s, lang),
		},
	})
}

// verifyAgain is the part that offers another code, fetched when its time has come.
func (p *Portal) verifyAgain(w http.ResponseWriter, r *http.Request) {
	s, ok := p.stepOf(r)
	if !ok || s.Search != "" {
		w.Header().Set("HX-Refresh", "true")
		p.fail(w, r, errStepLost)
		return
	}
	p.renderPart(w, r, http.StatusOK, "verify", "resend", view{Content: identityForm{Resend: p.resendOf(s, p.Language(r))}})
}

// startSearch takes code and identity and starts the search.
func (p *Portal) startSearch(w http.ResponseWriter, r *http.Request) {
	if err := readForm(w, r); err != nil {
		p.fail(w, r, err)
		return
	}
	s, ok := p.openStep(w, r)
	if !ok {
		return
	}
	lang := p.Language(r)
	request, wrong := readIdentity(r, lang)
	if wrong.Text != "" {
		p.renderVerify(w, r, s, wrong)
		return
	}
	request.CodeID = s.CodeID
	started, err := p.Searches.Start(r.Context(), p.Channel, request)
	if err != nil {
		p.renderVerify(w, r, s, p.told(w, r, err, lang))
		return
	}
	p.keepSearch(w, s, started)
	http.Redirect(w, r, "/searches/"+started.ID, http.StatusSeeOther)
}

// readIdentity reads what the second page sends; it finds only what no rule needs to be asked about.
func readIdentity(r *http.Request, lang words.Language) (search.Request, problem) {
	wrong := func(field, key string) (search.Request, problem) {
		return search.Request{}, problem{Field: field, Text: words.Say(lang, key), Status: http.StatusBadRequest}
	}
	code, ok := readCode(r.PostFormValue("code"))
	if !ok {
		return wrong("code", "problem.code")
	}
	last, err := ident.ParseLastSix(r.PostFormValue("idLast6"))
	if err != nil {
		return wrong("idLast6", "problem.idLast6")
	}
	return search.Request{Code: code, LastSix: last, Language: lang}, problem{}
}

const codeDigits = 6

// readCode reads six digits as people type them: full-width, or in two groups.
func readCode(s string) (string, bool) {
	if len(s) > typedCharactersMax {
		return "", false
	}
	code := strings.Map(func(r rune) rune {
		switch {
		case r >= '０' && r <= '９':
			return r - '０' + '0'
		case r == ' ' || r == '-' || r == '　' || r == '\t':
			return -1
		default:
			return r
		}
	}, s)
	return code, len(code) == codeDigits && strings.Trim(code, "0123456789") == ""
}

// keepSearch gives the browser the token, sent back only to this search's own pages, and the id, which opens nothing. The
// step is done and forgets the number.
func (p *Portal) keepSearch(w http.ResponseWriter, done step, s search.Started) {
	p.setCookie(w, tokenCookie, s.AccessToken, "/searches/"+s.ID, tokenAge)
	p.setCookie(w, lastCookie, s.ID, "/", tokenAge)
	p.keepStep(w, step{CodeID: done.CodeID, SentAt: done.SentAt, ExpiresAt: done.ExpiresAt, Search: s.ID})
}
