package connector

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"untether/internal/clock"
)

var start = time.Date(2024, 5, 1, 10, 0, 0, 0, time.UTC) // of the tenures in these tests

// accounts is an app's database in memory, with a fault to inject.
type accounts struct {
	mu    sync.Mutex
	of    map[string][]Binding
	fault func(numbers []string) error
	asked [][]string
}

func (a *accounts) Bindings(_ context.Context, numbers []string) ([]Binding, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, numbers)
	if a.fault != nil {
		if err := a.fault(numbers); err != nil {
			return nil, err
		}
	}
	var found []Binding
	for _, n := range numbers {
		for _, b := range a.of[n] {
			b.PhoneNumber = n
			found = append(found, b)
		}
	}
	return found, nil
}

func verified(at ...time.Time) (bindings []Binding) {
	for _, t := range at {
		bindings = append(bindings, Binding{VerifiedAt: Instant{Time: t}})
	}
	return bindings
}

// lockedBuffer is a log that a test reads while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// running is a connector at work in a test.
type running struct {
	*Connector
	log  *lockedBuffer
	stop func() error
}

func connect(t *testing.T, h *fakeHub, d Database, adjust ...func(*Options)) running {
	t.Helper()
	log := &lockedBuffer{}
	o := Options{Hub: h.URL, ClientID: "app-1", ClientSecret: "s+cret", Database: d, Clock: h.clock,
		Log: slog.New(slog.NewTextHandler(log, nil)), HTTPClient: h.Client()}
	for _, f := range adjust {
		f(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	stop := sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { _ = stop() })
	return running{c, log, stop}
}

const numberA, numberB = "+8613800000001", "+8613800000002"

func TestCountsByTheOneRule(t *testing.T) {
	day := Instant{Time: start, DayOnly: true}
	before, within := Instant{Time: start.Add(-time.Second)}, Instant{Time: start}
	tests := map[string]struct {
		bindings []Binding
		want     result
	}{
		"no account":                    {nil, result{}},
		"verified within":               {[]Binding{{VerifiedAt: within}}, result{Accounts: 1}},
		"verified before":               {[]Binding{{VerifiedAt: before}}, result{Left: 1}},
		"verification beats date":       {[]Binding{{VerifiedAt: before, RegisteredAt: within}}, result{Left: 1}},
		"registration serves":           {[]Binding{{RegisteredAt: within}}, result{Accounts: 1}},
		"no date":                       {[]Binding{{}}, result{Undated: 1}},
		"the very day is in doubt":      {[]Binding{{VerifiedAt: day}}, result{Undated: 1}},
		"the day before":                {[]Binding{{VerifiedAt: Instant{start.AddDate(0, 0, -1), true}}}, result{Left: 1}},
		"several, each for itself":      {[]Binding{{VerifiedAt: before}, {VerifiedAt: within}, {VerifiedAt: within}, {}}, result{Accounts: 2, Left: 1, Undated: 1}},
		"a day's instant is not its 0h": {[]Binding{{VerifiedAt: Instant{start.Add(9 * time.Hour), true}}}, result{Undated: 1}},
	}
	h := newFakeHub(t, &hasty{})
	d := &accounts{of: map[string][]Binding{}}
	var ids []string
	numbers := map[string]string{}
	for name, test := range tests {
		numbers[name] = fmt.Sprintf("+86138%08d", len(ids))
		d.of[numbers[name]] = test.bindings
		ids = append(ids, name)
		h.offer(name, "count", numbers[name], start)
	}
	connect(t, h, d)
	h.until(h.answered(ids...))
	for name, test := range tests {
		test.want.ID, test.want.Outcome = name, "count"
		if got := h.answers[name]; got != test.want {
			t.Errorf("%s: answered %+v, want %+v", name, got, test.want)
		}
	}
}

func TestOneQueryForABatch(t *testing.T) {
	h := newFakeHub(t, &clock.Movable{})
	h.set(func() { h.twice = true })
	h.offer("a", "count", numberA, start)
	h.offer("b", "count", numberB, start)
	h.offer("a again", "count", numberA, start.AddDate(1, 0, 0)) // another search of the same number
	d := &accounts{of: map[string][]Binding{numberA: verified(start)}}
	c := connect(t, h, d)
	h.until(h.answered("a", "b", "a again"))
	if err := c.stop(); err != nil {
		t.Fatal(err)
	}
	if len(d.asked) != 1 || len(d.asked[0]) != 2 {
		t.Errorf("asked the database %v, want once for two numbers", d.asked)
	}
	if h.answers["a"].Accounts != 1 || h.answers["a again"].Left != 1 {
		t.Errorf("answers %v", h.answers)
	}
	if h.repeats != 0 {
		t.Errorf("%d results were sent twice in one batch", h.repeats)
	}
	if s := c.Stats(); s.Answered != 3 || s.Leased != 6 {
		t.Errorf("stats %+v", s)
	}
}

func TestFaultsLoseNothing(t *testing.T) {
	tests := map[string]func(h *fakeHub, d *accounts){
		"500s": func(h *fakeHub, _ *accounts) {
			n := 0
			h.before = func(w http.ResponseWriter, _ *http.Request) bool {
				n++
				return n%3 != 0 && n < 30 && refuse(w, 500, "INTERNAL")
			}
		},
		"dropped connections": func(h *fakeHub, _ *accounts) {
			n := 0
			h.before = func(w http.ResponseWriter, _ *http.Request) bool { n++; return n%2 == 1 && n < 20 && drop(w) }
		},
		"results taken, answer lost": func(h *fakeHub, _ *accounts) {
			n := 0
			h.after = func(w http.ResponseWriter) bool { n++; return n < 4 && drop(w) }
		},
		"results garbled": func(h *fakeHub, _ *accounts) {
			n := 0
			h.after = func(w http.ResponseWriter) bool { n++; _, _ = w.Write([]byte("<html>")); return n < 4 }
		},
		"token forgotten by the hub": func(h *fakeHub, _ *accounts) {
			n := 0
			h.before = func(_ http.ResponseWriter, r *http.Request) bool {
				if n++; r.URL.Path != "/oauth2/token" && n < 10 {
					clear(h.tokens)
				}
				return false
			}
		},
		"busy": func(h *fakeHub, _ *accounts) {
			n := 0
			h.before = func(w http.ResponseWriter, _ *http.Request) bool {
				n++
				w.Header().Set("Retry-After", "7")
				return n < 6 && refuse(w, 429, "TOO_MANY_REQUESTS")
			}
		},
		"database down for a while": func(_ *fakeHub, d *accounts) {
			n := 0
			d.fault = func([]string) error { n++; return fail(n < 8) }
		},
		"database down longer than the lease": func(_ *fakeHub, d *accounts) {
			n := 0
			d.fault = func([]string) error { n++; return fail(n < 60) }
		},
		"a rejected request is left to a later lease": func(h *fakeHub, _ *accounts) {
			n := 0
			h.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/app/v1/tasks/results" {
					n++
					return n < 3 && refuse(w, 400, "INVALID_ARGUMENT")
				}
				return false
			}
		},
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			moving := &hasty{}
			h := newFakeHub(t, moving)
			d := &accounts{of: map[string][]Binding{numberA: verified(start)}}
			spoil(h, d)
			h.offer("a", "count", numberA, start)
			h.offer("b", "count", numberB, start)
			connect(t, h, d)
			h.until(func() bool {
				if h.calls["/app/v1/tasks/lease"] > 0 {
					moving.Advance(leaseLife) // so that leases which were given up run out ...
					h.changed.Broadcast()     // ... and requests held open see it
				}
				return h.answered("a", "b")()
			})
			if h.answers["a"].Accounts != 1 || h.answers["b"].Accounts != 0 {
				t.Errorf("answers %v", h.answers)
			}
		})
	}
}

func fail(really bool) error {
	if really {
		return errors.New("connection to +8613800000001 refused")
	}
	return nil
}

func TestHubAwayForAnHour(t *testing.T) {
	moving := &hasty{}
	h := newFakeHub(t, moving)
	back := moving.Now().Add(time.Hour)
	tries := 0
	h.before = func(w http.ResponseWriter, _ *http.Request) bool {
		if moving.Now().After(back) {
			return false
		}
		tries++
		return drop(w)
	}
	h.offer("a", "count", numberA, start)
	c := connect(t, h, &accounts{}, func(o *Options) { o.Concurrency = 1 })
	h.until(h.answered("a"))
	// Pauses grow to at most a minute with full jitter, so half a minute on average: some 120 tries. net/http adds none
	// of its own, for a POST is not repeated.
	if tries < 60 || tries > 400 {
		t.Errorf("%d tries in an hour", tries)
	}
	if s := c.Stats(); s.HubFailures != uint64(tries) {
		t.Errorf("%d failures counted of %d", s.HubFailures, tries)
	}
}

func TestTokenIsRenewedBeforeItExpires(t *testing.T) {
	moving := &clock.Movable{}
	h := newFakeHub(t, moving)
	refused := 0
	h.before = func(_ http.ResponseWriter, r *http.Request) bool {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if r.URL.Path != "/oauth2/token" && !h.tokens[token].After(moving.Now()) {
			refused++
		}
		return false
	}
	connect(t, h, &accounts{}, func(o *Options) { o.Concurrency = 1 })
	for i := range 5 {
		id := fmt.Sprint("task ", i)
		h.offer(id, "count", numberA, start)
		h.until(h.answered(id))
		// The next lease request has been let in, with a token that was good, before the clock jumps.
		h.until(func() bool { return h.waiting == 1 })
		moving.Advance(9*time.Minute + time.Second)
		h.offer(id+"b", "count", numberA, start)
		h.until(h.answered(id + "b"))
	}
	if refused != 0 {
		t.Errorf("%d requests carried an expired token", refused)
	}
	if len(h.tokens) < 4 {
		t.Errorf("only %d tokens in 45 minutes of 10 minutes each", len(h.tokens))
	}
}

func TestWhatIsLeftUnanswered(t *testing.T) {
	h := newFakeHub(t, &clock.Movable{})
	h.offer("list 1", "list", numberA, start)
	h.offer("list 2", "list", numberA, start)
	h.offer("bad number", "count", "13800000001", start)
	h.offer("many", "count", "+8613800000009", start)
	h.offer("good", "count", numberA, start)
	h.set(func() { h.tasks["bad number"].wire["tenureStart"] = "yesterday" })
	d := &accounts{of: map[string][]Binding{"+8613800000009": verified(start, start, start)}}
	c := connect(t, h, d, func(o *Options) { o.MaxBindingsPerNumber = 2 })
	h.until(h.answered("good"))
	_ = c.stop()
	if len(h.answers) != 1 {
		t.Errorf("answers %v, want the good one alone", h.answers)
	}
	if s := c.Stats(); s.UnknownKind != 2 || s.Unreadable != 2 || s.Answered != 1 {
		t.Errorf("stats %+v", s)
	}
	if n := strings.Count(c.log.String(), "kind=list"); n != 1 {
		t.Errorf("the unknown kind was logged %d times:\n%s", n, c.log.String())
	}
}

func TestLogsHoldNoNumber(t *testing.T) {
	h := newFakeHub(t, &hasty{})
	d := &accounts{of: map[string][]Binding{numberB: verified(start, start)}}
	n := 0
	d.fault = func([]string) error { n++; return fail(n < 4) }
	h.offer("a", "count", numberA, start)
	h.offer("b", "count", numberB, start)
	c := connect(t, h, d, func(o *Options) { o.MaxBindingsPerNumber = 1 })
	h.until(h.answered("a"))
	_ = c.stop()
	log := c.log.String()
	if !strings.Contains(log, "database did not answer") || !strings.Contains(log, "+86138****0002") {
		t.Fatalf("the log does not tell what happened:\n%s", log)
	}
	if strings.Contains(log, "13800000001") || strings.Contains(log, "13800000002") {
		t.Errorf("the log holds a number:\n%s", log)
	}
}

func TestStopAnswersTheBatchInHand(t *testing.T) {
	h := newFakeHub(t, &clock.Movable{})
	reached, release := make(chan struct{}), make(chan struct{})
	d := &accounts{fault: func([]string) error { close(reached); <-release; return nil }}
	h.offer("a", "count", numberA, start)
	c := connect(t, h, d)
	<-reached
	ended := make(chan error)
	go func() { ended <- c.stop() }()
	close(release)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if !h.answered("a")() {
		t.Error("the batch in hand was not answered before Run returned")
	}
}

func TestStopIsBounded(t *testing.T) {
	moving := &clock.Movable{}
	h := newFakeHub(t, moving)
	reached := make(chan struct{})
	d := databaseFunc(func(ctx context.Context) error { close(reached); <-ctx.Done(); return ctx.Err() })
	h.offer("a", "count", numberA, start)
	c := connect(t, h, d)
	<-reached
	ended := make(chan error)
	go func() { ended <- c.stop() }()
	for {
		moving.Advance(GraceDefault)
		select {
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
			return
		default:
		}
	}
}

type databaseFunc func(context.Context) error

func (f databaseFunc) Bindings(ctx context.Context, _ []string) ([]Binding, error) {
	return nil, f(ctx)
}

func TestNewRefuses(t *testing.T) {
	tests := map[string]struct {
		spoil func(*Options)
		want  string
	}{
		"no database":        {func(o *Options) { o.Database = nil }, "Database is missing"},
		"plain http":         {func(o *Options) { o.Hub = "http://hub.example" }, "must start with https"},
		"another scheme":     {func(o *Options) { o.Hub = "ftp://hub.example" }, "must be the hub's address"},
		"no host":            {func(o *Options) { o.Hub = "https://" }, "must be the hub's address"},
		"user in address":    {func(o *Options) { o.Hub = "https://a:b@hub.example" }, "no user"},
		"query in address":   {func(o *Options) { o.Hub = "https://hub.example/?a=b" }, "no user, no query"},
		"no secret":          {func(o *Options) { o.ClientSecret = "" }, "id and secret"},
		"batch too large":    {func(o *Options) { o.Batch = 1001 }, "Batch"},
		"too many lanes":     {func(o *Options) { o.Concurrency = 17 }, "Concurrency"},
		"negative wait":      {func(o *Options) { o.Wait = -1 }, "Wait"},
		"loopback lookalike": {func(o *Options) { o.Hub = "http://127.0.0.1.example" }, "must start with https"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := Options{Hub: "https://hub.example", ClientID: "a", ClientSecret: "b", Database: &accounts{}}
			test.spoil(&o)
			if _, err := New(o); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	h := newFakeHub(t, &hasty{})
	moved := false
	h.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/elsewhere" {
			moved = true
		}
		if h.calls[r.URL.Path] > 3 {
			return false
		}
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		return true
	}
	h.offer("a", "count", numberA, start)
	c := connect(t, h, &accounts{})
	h.until(h.answered("a"))
	if moved || !strings.Contains(c.log.String(), "redirects") {
		t.Errorf("followed %v; log:\n%s", moved, c.log.String())
	}
}

func TestHostileAnswersAreRefused(t *testing.T) {
	tests := map[string]string{
		"too long":      `{"tasks":[],"x":"` + strings.Repeat("x", answerBytesMax) + `"}`,
		"too many":      `{"tasks":[` + strings.Repeat(`{"id":"a"},`, 10) + `{"id":"a"}]}`,
		"not JSON":      `hello`,
		"another shape": `{"tasks":7}`,
	}
	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			h := newFakeHub(t, &hasty{})
			h.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/app/v1/tasks/lease" || h.calls[r.URL.Path] > 2 {
					return false
				}
				_, _ = w.Write([]byte(body))
				return true
			}
			h.offer("a", "count", numberA, start)
			c := connect(t, h, &accounts{}, func(o *Options) { o.Batch = 10; o.Concurrency = 1 })
			h.until(h.answered("a"))
			if s := c.Stats(); s.HubFailures != 2 || s.Leased != 1 {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

func TestJitterIsBounded(t *testing.T) {
	for n, most := range map[int]time.Duration{1: 500 * time.Millisecond, 2: time.Second, 7: 32 * time.Second, 8: time.Minute, 1 << 30: time.Minute} {
		if got := jittered(n, 0.999999); got > most || got < most*9/10 {
			t.Errorf("failure %d: pause up to %v, want %v", n, got, most)
		}
		if got := jittered(n, 0); got != 0 {
			t.Errorf("failure %d: least pause %v", n, got)
		}
	}
}
