package api

import (
	"net/http"
	"strings"
	"time"

	"untether/internal/access"
	"untether/internal/api/respond"
	"untether/internal/api/wire"
	"untether/internal/catalog"
	"untether/internal/fault"
	"untether/internal/ident"
	"untether/internal/phone"
	"untether/internal/search"
	"untether/internal/words"
)

// idempotencyKeyMax bounds the characters of an Idempotency-Key.
const idempotencyKeyMax = 128

// codeIDMax bounds the characters of a code's id.
const codeIDMax = 64

// codeDigits is how many digits a code has.
const codeDigits = 6

func (a *API) apps(w http.ResponseWriter, r *http.Request) {
	if _, err := a.channel(r); err != nil {
		a.fail(w, r, err)
		return
	}
	answer := wire.Catalogue{Apps: []wire.App{}}
	for _, app := range a.Catalog.Apps() {
		answer.Apps = append(answer.Apps, wire.App{ID: app.ID, Name: localText(app.Name), Company: localText(app.Company),
			Kind: wire.AppKind(app.Kind), Badge: app.Badge, Colour: app.Colour})
	}
	respond.JSON(w, http.StatusOK, answer)
}

func localText(t catalog.Text) wire.LocalText { return wire.LocalText{ZhCN: t.ZhCN, En: t.En} }

func (a *API) codes(w http.ResponseWriter, r *http.Request) {
	answer, err := a.issueCode(w, r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	respond.JSON(w, http.StatusAccepted, answer)
}

func (a *API) issueCode(w http.ResponseWriter, r *http.Request) (wire.IssuedCode, error) {
	ch, err := a.channel(r)
	if err != nil {
		return wire.IssuedCode{}, err
	}
	body, err := respond.Decode[wire.IssueCodeRequest](w, r, smallBody)
	if err != nil {
		return wire.IssuedCode{}, err
	}
	n, err := phone.Parse(body.PhoneNumber)
	if err != nil {
		return wire.IssuedCode{}, err
	}
	lang, err := language(body.Language)
	if err != nil {
		return wire.IssuedCode{}, err
	}
	key := r.Header.Get("Idempotency-Key")
	if len(key) > idempotencyKeyMax {
		return wire.IssuedCode{}, fault.Invalidf("Idempotency-Key must have at most %d characters.", idempotencyKeyMax)
	}
	ticket, err := a.Searches.RequestCode(r.Context(), ch, n, lang, key)
	// In whole seconds, so that the length of the answer never differs.
	return wire.IssuedCode{CodeID: ticket.ID, ExpiresAt: ticket.ExpiresAt.UTC().Truncate(time.Second)}, err
}

// language reads an optional language; Chinese is the default.
func language(l *wire.Language) (words.Language, error) {
	if l == nil {
		return words.ZhCN, nil
	}
	lang, ok := words.ParseLanguage(string(*l))
	if !ok || string(lang) != string(*l) {
		return "", fault.Invalidf("language must be zh-CN or en.")
	}
	return lang, nil
}

// moment is an instant as the wire tells it: UTC, to the millisecond.
func moment(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

func (a *API) searches(w http.ResponseWriter, r *http.Request) {
	started, err := a.startSearch(w, r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	respond.JSON(w, http.StatusCreated, wire.StartedSearch{ID: started.ID, AccessToken: started.AccessToken,
		Status: wire.SearchStatus(started.Status), RequestedAt: moment(started.RequestedAt), Deadline: moment(started.Deadline), Apps: started.Apps})
}

func (a *API) startSearch(w http.ResponseWriter, r *http.Request) (search.Started, error) {
	ch, err := a.channel(r)
	if err != nil {
		return search.Started{}, err
	}
	body, err := respond.Decode[wire.StartSearchRequest](w, r, smallBody)
	if err != nil {
		return search.Started{}, err
	}
	request, err := searchRequest(body)
	if err != nil {
		return search.Started{}, err
	}
	return a.Searches.Start(r.Context(), ch, request)
}

func searchRequest(body wire.StartSearchRequest) (search.Request, error) {
	if !isName(body.CodeID, codeIDMax) || !isCode(body.Code) {
		return search.Request{}, fault.Invalidf("codeId must be as it was given out, and code six digits.")
	}
	if !isAlphanumeric(body.IDLast6) { // spaces and full-width forms are for what people type into a page
		return search.Request{}, ident.ErrLastSix
	}
	last, err := ident.ParseLastSix(body.IDLast6)
	if err != nil {
		return search.Request{}, err
	}
	lang, err := language(body.Language)
	if err != nil {
		return search.Request{}, err
	}
	request := search.Request{CodeID: body.CodeID, Code: body.Code, LastSix: last, Language: lang}
	if body.Apps != nil {
		if len(*body.Apps) == 0 {
			return search.Request{}, fault.Invalidf("apps must hold an id, or be left out.")
		}
		request.Apps = *body.Apps
	}
	return request, nil
}

// isName tells whether s can be an id that the hub made: base64url, so that nothing else reaches the database.
func isName(s string, most int) bool {
	return s != "" && len(s) <= most && isAlphanumeric(strings.NewReplacer("-", "", "_", "").Replace(s))
}

func isCode(s string) bool {
	return len(s) == codeDigits && !strings.ContainsFunc(s, func(c rune) bool { return c < '0' || c > '9' })
}

func isAlphanumeric(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return !(c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z') })
}

func (a *API) search(w http.ResponseWriter, r *http.Request) {
	token := bearer(r)
	if token == "" {
		a.fail(w, r, access.ErrUnauthenticated)
		return
	}
	report, err := a.Searches.Read(r.Context(), r.PathValue("id"), token)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	respond.JSON(w, http.StatusOK, searchState(report))
}

func searchState(r search.Report) wire.SearchState {
	state := wire.SearchState{ID: r.ID, Status: wire.SearchStatus(r.Status), RequestedAt: moment(r.RequestedAt), Deadline: moment(r.Deadline),
		Apps: []wire.AppAnswer{}}
	if !r.RepliedAt.IsZero() {
		at := moment(r.RepliedAt)
		state.RepliedAt = &at
	}
	for _, app := range r.Apps {
		answer := wire.AppAnswer{App: app.App, Status: wire.AppAnswerStatus(app.Status)}
		if app.Status == search.Answered || app.Status == search.Late {
			answer.Accounts, answer.Left, answer.Undated = &app.Accounts, &app.Left, &app.Undated
		}
		state.Apps = append(state.Apps, answer)
	}
	return state
}
