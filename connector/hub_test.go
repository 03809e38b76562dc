package connector

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"untether/internal/clock"
)

// leaseLife is how long the test's hub waits for an answer before it offers a task again.
const leaseLife = 2 * time.Minute

// fakeHub is a hub written to the app protocol alone, with leases and tokens on the test's clock, and with faults.
type fakeHub struct {
	*httptest.Server
	clock clock.Clock

	mu      sync.Mutex
	changed *sync.Cond
	tokens  map[string]time.Time // until when
	order   []string
	tasks   map[string]*offered
	answers map[string]result
	repeats int // results for a task that had one
	waiting int // lease requests held open
	calls   map[string]int
	// before may do a request in the handler's stead (then it is true); it holds the lock.
	before func(w http.ResponseWriter, r *http.Request) bool
	// after may spoil the answer to results that were taken; it holds the lock.
	after func(w http.ResponseWriter) bool
	twice bool // every lease lists its tasks twice
	deny  string
}

type offered struct {
	wire   map[string]any
	leased time.Time
}

func newFakeHub(t *testing.T, c clock.Clock) *fakeHub {
	h := &fakeHub{clock: c, tokens: map[string]time.Time{}, tasks: map[string]*offered{},
		answers: map[string]result{}, calls: map[string]int{}}
	h.changed = sync.NewCond(&h.mu)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth2/token", h.giveToken)
	mux.HandleFunc("POST /app/v1/tasks/lease", h.authenticated(h.lease))
	mux.HandleFunc("POST /app/v1/tasks/results", h.authenticated(h.results))
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.calls[r.URL.Path]++
		defer h.changed.Broadcast()
		if h.before == nil || !h.before(w, r) {
			mux.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(h.Close)
	return h
}

// drop cuts the connection without an answer.
func drop(w http.ResponseWriter) bool {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = conn.Close()
	}
	return true
}

func refuse(w http.ResponseWriter, status int, code string) bool {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "code": code, "message": "No."})
	return true
}

func (h *fakeHub) giveToken(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	switch {
	case id != "app-1" || secret != "s%2Bcret": // form-encoded "s+cret"
		refuse(w, 401, "invalid_client")
		return
	case r.FormValue("grant_type") != "client_credentials" || r.FormValue("scope") != "app":
		refuse(w, 400, "invalid_request")
		return
	}
	scope := "app"
	if h.deny != "" {
		scope = h.deny
	}
	token := fmt.Sprint("token-", len(h.tokens))
	h.tokens[token] = h.clock.Now().Add(10 * time.Minute)
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": 600, "scope": scope})
}

func (h *fakeHub) authenticated(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token := r.Header.Get("Authorization")
		if len(token) < 8 || !h.tokens[token[7:]].After(h.clock.Now()) {
			refuse(w, 401, "UNAUTHENTICATED")
			return
		}
		next(w, r)
	}
}

func (h *fakeHub) lease(w http.ResponseWriter, r *http.Request) {
	var in leaseRequest
	if json.NewDecoder(r.Body).Decode(&in) != nil || in.Max < 1 || in.Max > BatchMax {
		refuse(w, 400, "INVALID_ARGUMENT")
		return
	}
	tasks := []any{}
	gone := r.Context()
	go func() { <-gone.Done(); h.mu.Lock(); defer h.mu.Unlock(); h.changed.Broadcast() }()
	h.waiting++
	h.changed.Broadcast()
	defer func() { h.waiting-- }()
	for len(tasks) == 0 && gone.Err() == nil {
		now := h.clock.Now()
		for _, id := range h.order {
			o := h.tasks[id]
			if _, done := h.answers[id]; done || len(tasks) == in.Max || now.Sub(o.leased) < leaseLife {
				continue
			}
			o.leased = now
			tasks = append(tasks, o.wire)
		}
		if len(tasks) == 0 {
			h.changed.Wait()
		}
	}
	if h.twice {
		tasks = append(tasks, tasks...)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"tasks": tasks})
}

func (h *fakeHub) results(w http.ResponseWriter, r *http.Request) {
	var in resultsRequest
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if d.Decode(&in) != nil || len(in.Results) > BatchMax {
		refuse(w, 400, "INVALID_ARGUMENT")
		return
	}
	var out resultsAnswer
	for _, one := range in.Results {
		if _, ok := h.tasks[one.ID]; !ok || one.Outcome != "count" {
			out.Results = append(out.Results, receipt{ID: one.ID, Code: "UNKNOWN_TASK"})
			continue
		}
		if _, ok := h.answers[one.ID]; ok {
			h.repeats++
		} else {
			h.answers[one.ID] = one
		}
		out.Results = append(out.Results, receipt{ID: one.ID, Accepted: true})
	}
	if h.after == nil || !h.after(w) {
		_ = json.NewEncoder(w).Encode(out)
	}
}

// offer puts a task in the app's lane.
func (h *fakeHub) offer(id, kind, number string, tenureStart time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.order = append(h.order, id)
	h.tasks[id] = &offered{wire: map[string]any{
		"id": id, "kind": kind, "subject": map[string]any{"phoneNumber": number},
		"tenureStart": tenureStart.Format(time.RFC3339Nano), "deadline": tenureStart.AddDate(9, 0, 0).Format(time.RFC3339), "later": 1,
	}}
	h.changed.Broadcast()
}

// set changes the hub's behaviour.
func (h *fakeHub) set(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	h.changed.Broadcast()
}

// until waits for a condition that a request or set brings about.
func (h *fakeHub) until(condition func() bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for !condition() {
		h.changed.Wait()
	}
}

func (h *fakeHub) answered(ids ...string) func() bool {
	return func() bool {
		return !slices.ContainsFunc(ids, func(id string) bool { _, ok := h.answers[id]; return !ok })
	}
}

// hasty is a Movable clock that jumps to whatever instant somebody waits for: pauses cost no time, and their sum can be read.
type hasty struct{ clock.Movable }

func (c *hasty) At(t time.Time) (<-chan struct{}, func()) {
	c.Advance(t.Sub(c.Now()))
	return c.Movable.At(t)
}
