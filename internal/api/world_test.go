package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"untether/internal/access"
	"untether/internal/api"
	"untether/internal/api/contracttest"
	"untether/internal/api/respond"
	"untether/internal/carrier"
	"untether/internal/catalog"
	"untether/internal/clock"
	"untether/internal/keys"
	"untether/internal/registry"
	"untether/internal/search"
	"untether/internal/store"
	"untether/internal/store/storetest"
	"untether/internal/texts"
	"untether/internal/verification"
	"untether/internal/words"
	"untether/internal/work"
)

// The people of these tests: one who holds a number, one whose number is frozen, one abroad, and nobody.
const (
	held    = "+8613800000001"
	frozen  = "+8613800000002"
	unknown = "+8613800000003"
	foreign = "+14155550100"
	lastSix = "31002X"
	secret  = "correct horse"
)

// world is the doors on the real rules, a real database and a carrier over real HTTP. Texts stay in their lane, where a
// test reads them.
type world struct {
	t       testing.TB
	db      *store.DB
	ring    *keys.Ring
	clock   *clock.Movable
	bells   *work.Bells
	rules   *search.Service
	bare    http.Handler // without the comparison with the documents
	handler http.Handler
	network *network
	tokens  map[string]string
}

// network is a carrier that knows who holds one number.
type network struct {
	mu    sync.Mutex
	down  bool
	start time.Time
}

func (n *network) setDown(down bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = down
}

func (n *network) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var q struct{ PhoneNumber, IDLast6 string }
	if n.down || json.NewDecoder(r.Body).Decode(&q) != nil || r.Header.Get("Authorization") != "Bearer "+secret {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if q.PhoneNumber != held || q.IDLast6 != lastSix {
		fmt.Fprint(w, `{"match":false}`)
		return
	}
	fmt.Fprintf(w, `{"match":true,"tenureId":"t-1","tenureStart":%q}`, n.start.Format(time.RFC3339))
}

var silent = slog.New(slog.DiscardHandler)

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, db: storetest.Open(t), clock: &clock.Movable{}, bells: &work.Bells{}, tokens: map[string]string{}}
	w.network = &network{start: w.clock.Now().AddDate(-2, 0, 0)}
	var err error
	if w.ring, err = keys.New(keys.Generate()); err != nil {
		t.Fatal(err)
	}
	peer := httptest.NewServer(w.network)
	t.Cleanup(peer.Close)
	numbers := &registry.Registry{Store: w.db, Keys: w.ring, Clock: w.clock, Carriers: []registry.Carrier{{ID: "alpha", Prefixes: []string{"+86138"}}, {ID: "beta", Prefixes: []string{"+86139"}}}}
	carriers, err := carrier.New(numbers, []carrier.Peer{{ID: "alpha", URL: peer.URL, Secret: secret}}, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})
	if err != nil {
		t.Fatal(err)
	}
	verifier := &verification.Verifier{Store: w.db, Keys: w.ring, Clock: w.clock, Bells: w.bells, ShortCode: "10699000"}
	place := map[words.Language]string{words.ZhCN: "清号", words.En: "Untether"}
	w.rules = &search.Service{Store: w.db, Keys: w.ring, Clock: w.clock, Bells: w.bells, Verifier: verifier, Carriers: carriers, Catalog: catalog.Default(),
		Reply: search.ReplyStyle{ShortCode: "10699000", Place: time.UTC, Service: place, Menu: place}}
	var clients []access.Client
	for _, c := range []access.Client{{ID: "web", Role: access.Channel, Scopes: []string{"channel"}}, {ID: "tight", Role: access.Channel, Scopes: []string{"channel"}},
		{ID: "alipay", Role: access.App, Subject: "alipay", Scopes: []string{"app"}}, {ID: "wechat", Role: access.App, Subject: "wechat", Scopes: []string{"app"}},
		{ID: "alpha", Role: access.Carrier, Subject: "alpha", Scopes: []string{"carrier"}}, {ID: "beta", Role: access.Carrier, Subject: "beta", Scopes: []string{"carrier"}},
		{ID: "nobody", Role: access.Checker, Scopes: []string{"app", "carrier"}}} {
		c.SecretHash = access.HashSecret(secret)
		clients = append(clients, c)
	}
	desk, err := access.NewDesk(w.db, w.ring, w.clock, clients)
	if err != nil {
		t.Fatal(err)
	}
	wide := verification.Rate{Count: 1_000_000, Per: time.Minute, Burst: 1_000_000}
	narrow := verification.Rate{Count: 1, Per: time.Hour, Burst: 1}
	doors := api.New(api.Options{Searches: w.rules, Events: numbers, Desk: desk, Catalog: catalog.Default(), Log: silent,
		Channels: map[string]verification.Channel{"web": {ID: "web", Codes: wide, Guesses: wide}, "tight": {ID: "tight", Codes: narrow, Guesses: narrow}}})
	w.bare = respond.Recover(silent)(respond.Headers(silent)(respond.Correlator(silent)(doors)))
	w.handler = contracttest.Validate(t, w.bare)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- w.rules.Run(ctx, silent) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return w
}

// reply is an answer with its body as JSON.
type reply struct {
	*httptest.ResponseRecorder
	t testing.TB
}

func (r reply) into(v any) {
	r.t.Helper()
	if err := json.Unmarshal(r.Body.Bytes(), v); err != nil {
		r.t.Fatalf("%d %s: %v", r.Code, r.Body, err)
	}
}

// is fails the test unless the answer has the status and, for a failure, the code.
func (r reply) is(status int, code string) reply {
	r.t.Helper()
	var f respond.Failure
	if status >= 400 {
		r.into(&f)
	}
	if r.Code != status || f.Code != code {
		r.t.Fatalf("answered %d %s, want %d %s", r.Code, r.Body, status, code)
	}
	return r
}

func (w *world) send(r *http.Request) reply {
	answer := httptest.NewRecorder()
	w.handler.ServeHTTP(answer, r)
	return reply{answer, w.t}
}

// call asks with a body in JSON (nil: none), as the client (empty: without a token).
func (w *world) call(method, path, client string, body any, headers ...string) reply {
	w.t.Helper()
	text, raw := body.(string)
	if !raw && body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			w.t.Fatal(err)
		}
		text = string(b)
	}
	r := httptest.NewRequest(method, path, strings.NewReader(text))
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if client != "" {
		r.Header.Set("Authorization", "Bearer "+w.token(client))
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return w.send(r)
}

func (w *world) grant(id, password string, form url.Values) reply {
	r := httptest.NewRequest(http.MethodPost, "/oauth2/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if id != "" {
		r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(password))
	}
	return w.send(r)
}

// token gives a client's token with all that it may have.
func (w *world) token(client string) string {
	w.t.Helper()
	if known, ok := w.tokens[client]; ok {
		return known
	}
	scope := map[string]string{"web": "channel", "tight": "channel", "alpha": "carrier", "beta": "carrier", "nobody": "app carrier"}[client]
	if scope == "" {
		scope = "app"
	}
	var token struct {
		AccessToken string `json:"access_token"`
	}
	w.grant(client, secret, url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}).is(200, "").into(&token)
	w.tokens[client] = token.AccessToken
	return token.AccessToken
}

// forget makes the next calls get new tokens, as after an hour.
func (w *world) forget() { clear(w.tokens) }

// nextTexts hands over the texts of the lane, once there is one: the SMS centre of these tests.
func (w *world) nextTexts() []texts.Payload {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		bell := w.bells.Listen(work.Texts)
		if got := w.handOver(ctx); len(got) > 0 {
			return got
		}
		select {
		case <-bell:
		case <-ctx.Done():
			w.t.Fatal("no text came")
		}
	}
}

func (w *world) handOver(ctx context.Context) []texts.Payload {
	w.t.Helper()
	var got []texts.Payload
	now := w.clock.Now()
	err := w.db.Texts(ctx, func(ctx context.Context, tx texts.Tx) error {
		got = nil
		items, err := tx.LeaseWork(ctx, work.Texts, now, now.Add(time.Minute), 100)
		if err != nil {
			return err
		}
		for _, item := range items {
			plain, err := w.ring.Open(texts.SealContext(item.Key), item.Payload)
			if err != nil {
				return err
			}
			var p texts.Payload
			if err := json.Unmarshal(plain, &p); err != nil {
				return err
			}
			got = append(got, p)
			if _, err := tx.FinishWork(ctx, now, []work.Result{{Key: item.Key, State: work.Done, Outcome: `"sent"`}}); err != nil {
				return err
			}
			if item.Kind == texts.KindReply {
				if err := tx.SearchesReplied(ctx, now, []work.Key{item.Key}); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

var sixDigits = regexp.MustCompile(`\d{6}`)

// code asks for a code and reads it on the handset.
func (w *world) code(number string) (id, digits string) {
	w.t.Helper()
	var issued struct{ CodeID string }
	w.call("POST", "/v1/codes", "web", map[string]string{"phoneNumber": number}).is(202, "").into(&issued)
	return issued.CodeID, sixDigits.FindString(w.nextTexts()[0].Text)
}

// begun is a search as POST /v1/searches answers.
type begun struct {
	ID, AccessToken, Status string
	RequestedAt, Deadline   time.Time
	Apps                    []string
}

func (w *world) start(id, digits, last string, apps ...string) reply {
	w.t.Helper()
	body := map[string]any{"codeId": id, "code": digits, "idLast6": last, "language": "en"}
	if len(apps) > 0 {
		body["apps"] = apps
	}
	return w.call("POST", "/v1/searches", "web", body)
}

// begin starts a search of the held number.
func (w *world) begin(apps ...string) (b begun) {
	w.t.Helper()
	id, digits := w.code(held)
	w.start(id, digits, lastSix, apps...).is(201, "").into(&b)
	return b
}

// state is a search as GET answers.
type state struct {
	ID, Status string
	RepliedAt  *time.Time
	Apps       []struct {
		App, Status             string
		Accounts, Left, Undated *int
	}
}

func (w *world) read(b begun) (s state) {
	w.t.Helper()
	w.call("GET", "/v1/searches/"+b.ID, "", nil, "Authorization", "Bearer "+b.AccessToken).is(200, "").into(&s)
	return s
}

type task struct {
	ID, Kind              string
	Subject               struct{ PhoneNumber string }
	TenureStart, Deadline time.Time
}

func (w *world) lease(app string) []task {
	w.t.Helper()
	var leased struct{ Tasks []task }
	w.call("POST", "/app/v1/tasks/lease", app, map[string]int{"max": 10}).is(200, "").into(&leased)
	return leased.Tasks
}

type receipt struct {
	ID            string
	Accepted      bool
	Code, Message string
}

func (w *world) answer(app string, results ...map[string]any) []receipt {
	w.t.Helper()
	var taken struct{ Results []receipt }
	w.call("POST", "/app/v1/tasks/results", app, map[string]any{"results": results}).is(200, "").into(&taken)
	if len(taken.Results) != len(results) {
		w.t.Fatalf("%d receipts for %d results", len(taken.Results), len(results))
	}
	return taken.Results
}

func count(id string, accounts, left, undated int) map[string]any {
	return map[string]any{"id": id, "outcome": "count", "accounts": accounts, "left": left, "undated": undated}
}

// report sends one event as a carrier.
func (w *world) report(carrier string, sequence int, number, kind string, at time.Time, more ...string) (status, code string) {
	w.t.Helper()
	event := map[string]any{"sequence": sequence, "phoneNumber": number, "type": kind, "at": at.Format(time.RFC3339Nano)}
	for i := 0; i < len(more); i += 2 {
		event[more[i]] = more[i+1]
	}
	var answer struct {
		Results []struct{ Status, Code string }
	}
	w.call("POST", "/carrier/v1/events", carrier, map[string]any{"events": []any{event}}).is(200, "").into(&answer)
	return answer.Results[0].Status, answer.Results[0].Code
}
