// Package api is the HTTP doors for programs: channels (/v1), apps (/app/v1), carriers (/carrier/v1), tokens (/oauth2/token)
// and the documents that describe them (/openapi/). A handler reads a request, calls a rule and writes the answer; it decides
// nothing. Every answer has the form that the documents in api/ say, every failure one shape.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	documents "untether/api"
	"untether/internal/access"
	"untether/internal/api/respond"
	"untether/internal/catalog"
	"untether/internal/phone"
	"untether/internal/registry"
	"untether/internal/search"
	"untether/internal/verification"
	"untether/internal/words"
)

// Searches is what the doors need of package search.
type Searches interface {
	RequestCode(ctx context.Context, ch verification.Channel, n phone.Number, lang words.Language, key string) (verification.Ticket, error)
	Start(ctx context.Context, ch verification.Channel, r search.Request) (search.Started, error)
	Read(ctx context.Context, id, accessToken string) (search.Report, error)
	LeaseTasks(ctx context.Context, app string, max int, wait time.Duration) ([]search.Task, error)
	TakeAnswers(ctx context.Context, app string, answers []search.Answer) ([]search.Verdict, error)
}

// Events is what the doors need of package registry.
type Events interface {
	Take(ctx context.Context, carrier string, events []registry.Reported, asOf time.Time) ([]registry.Verdict, error)
}

// Options is what the doors are made of. All but OpenChannel and Channels are required.
type Options struct {
	Searches Searches
	Events   Events
	Desk     *access.Desk
	Catalog  *catalog.Catalog
	Log      *slog.Logger
	// Channels are budgets by client id; a client without one has the default.
	Channels map[string]verification.Channel
	// OpenChannel, when given, serves /v1 to callers without a credential: for a loopback listener only.
	OpenChannel *verification.Channel
}

// API is the doors.
type API struct{ Options }

// New makes the handler for all paths of the doors.
func New(o Options) http.Handler {
	a := &API{o}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth2/token", a.token)
	mux.HandleFunc("GET /v1/apps", a.apps)
	mux.HandleFunc("POST /v1/codes", a.codes)
	mux.HandleFunc("POST /v1/searches", a.searches)
	mux.HandleFunc("GET /v1/searches/{id}", a.search)
	mux.HandleFunc("POST /app/v1/tasks/lease", a.lease)
	mux.HandleFunc("POST /app/v1/tasks/results", a.results)
	mux.HandleFunc("POST /carrier/v1/events", a.events)
	mux.HandleFunc("GET /openapi/{name}", a.document)
	return respond.Routes(o.Log, mux)
}

// Paths are the beginnings of the paths that this handler serves.
var Paths = []string{"/oauth2/", "/v1/", "/app/v1/", "/carrier/v1/", "/openapi/"}

// Limits of bodies in bytes.
const (
	smallBody   = 4 << 10
	resultsBody = 512 << 10 // search.LeaseMax results
	eventsBody  = 4 << 20   // registry.BatchMax events
)

func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) { respond.Fail(w, r, a.Log, err) }

// bearer gives the token of the Authorization header; empty: none.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// client gives the caller whose token has the scope.
func (a *API) client(r *http.Request, scope string) (access.Client, error) {
	token := bearer(r)
	if token == "" {
		return access.Client{}, access.ErrUnauthenticated
	}
	return a.Desk.Allow(r.Context(), token, scope)
}

// channel gives the channel that calls.
func (a *API) channel(r *http.Request) (verification.Channel, error) {
	if a.OpenChannel != nil && r.Header.Get("Authorization") == "" {
		return *a.OpenChannel, nil
	}
	client, err := a.client(r, access.ScopeChannel)
	if err != nil {
		return verification.Channel{}, err
	}
	if ch, ok := a.Channels[client.ID]; ok {
		return ch, nil
	}
	return verification.Channel{ID: client.ID, Codes: verification.CodesDefault, Guesses: verification.GuessesDefault}, nil
}

func (a *API) document(w http.ResponseWriter, r *http.Request) {
	text, err := documents.Load(r.PathValue("name"))
	if err != nil {
		a.fail(w, r, respond.ErrNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/yaml; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(text)
}
