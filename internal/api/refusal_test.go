package api_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"untether/internal/api/contracttest"
	"untether/internal/search"
	"untether/internal/store"
)

// authorize shows a request as one of somebody who may do that.
func (w *world) authorize(op contracttest.Operation, r *http.Request) {
	if op.ID == "issueToken" {
		r.SetBasicAuth("alipay", url.QueryEscape(secret))
		return
	}
	client := map[string]string{"leaseTasks": "alipay", "reportResults": "alipay", "reportEvents": "alpha"}[op.ID]
	if client == "" {
		client = "web"
	}
	r.Header.Set("Authorization", "Bearer "+w.token(client))
}

// malformedEach is how many malformed requests every operation must bear.
const malformedEach = 10_000

func TestMalformedRequests(t *testing.T) {
	n := malformedEach
	if testing.Short() {
		n /= 10
	}
	w := newWorld(t)
	for _, name := range []string{"channel.yaml", "app.yaml", "carrier.yaml", "access.yaml"} {
		for _, op := range contracttest.Operations(t, name) {
			t.Run(op.ID, func(t *testing.T) {
				bad := 0
				for q := range contracttest.Malformed(20260301, n, op) {
					r, answer := q.HTTP(), httptest.NewRecorder()
					if r.Header.Get("Authorization") == "" {
						w.authorize(op, r)
					}
					w.bare.ServeHTTP(answer, r)
					if wrong := q.Check(answer); wrong != "" {
						t.Errorf("%s: %s: %s %.200s %v %.300q", q.Spoilt, wrong, q.Method, q.Target, q.Header, q.Body)
						if bad++; bad > 10 {
							t.FailNow()
						}
					}
				}
			})
		}
	}
}

func TestOverfull(t *testing.T) {
	w := newWorld(t)
	list := func(name, item string, n int) string {
		return `{"` + name + `":[` + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + `]}`
	}
	const result = `{"id":"x","outcome":"count","accounts":1,"left":1,"undated":1}`
	const event = `{"sequence":1,"phoneNumber":"+8613800000001","type":"cancelled","at":"2026-01-01T00:00:00Z"}`
	const app = `"alipay"`
	start := func(apps string) string { return `{"codeId":"x","code":"123456","idLast6":"123456",` + apps[1:] }
	for _, c := range []struct {
		name, path, client, body string
		status                   int
		code                     string
	}{
		{"1,000 results", "/app/v1/tasks/results", "alipay", list("results", result, 1000), 200, ""},
		{"1,001 results", "/app/v1/tasks/results", "alipay", list("results", result, 1001), 400, "INVALID_ARGUMENT"},
		{"no results", "/app/v1/tasks/results", "alipay", list("results", "", 0), 400, "INVALID_ARGUMENT"},
		{"a result with a long id", "/app/v1/tasks/results", "alipay", `{"results":[{"id":"` + strings.Repeat("x", 201) + `","outcome":"count"}]}`, 400, "INVALID_ARGUMENT"},
		{"results of 600 KiB", "/app/v1/tasks/results", "alipay", list("results", strings.Repeat(" ", 600)+result, 1000), 413, "PAYLOAD_TOO_LARGE"},
		{"10,000 events", "/carrier/v1/events", "alpha", list("events", event, 10_000), 200, ""},
		{"10,001 events", "/carrier/v1/events", "alpha", list("events", event, 10_001), 400, "INVALID_ARGUMENT"},
		{"no events", "/carrier/v1/events", "alpha", list("events", "", 0), 200, ""},
		{"events of 5 MiB", "/carrier/v1/events", "alpha", list("events", strings.Repeat(" ", 500)+event, 10_000), 413, "PAYLOAD_TOO_LARGE"},
		{"no apps", "/v1/searches", "web", start(list("apps", "", 0)), 400, "INVALID_ARGUMENT"},
		{"an app twice", "/v1/searches", "web", start(list("apps", app, 2)), 400, "INVALID_ARGUMENT"},
		{"65 apps", "/v1/searches", "web", start(list("apps", app, 65)), 400, "INVALID_ARGUMENT"},
		{"an unknown app", "/v1/searches", "web", start(list("apps", `"nosuchapp"`, 1)), 400, "INVALID_ARGUMENT"},
		{"a search of 5 KiB", "/v1/searches", "web", start(list("apps", strings.Repeat(" ", 500)+app, 10)), 413, "PAYLOAD_TOO_LARGE"},
		{"a code of 5 KiB", "/v1/codes", "web", `{"phoneNumber":"+8613800000001"` + strings.Repeat(" ", 5000) + `}`, 413, "PAYLOAD_TOO_LARGE"},
		{"a lease of 5 KiB", "/app/v1/tasks/lease", "alipay", `{` + strings.Repeat(" ", 5000) + `}`, 413, "PAYLOAD_TOO_LARGE"},
		{"a lease of 1,001", "/app/v1/tasks/lease", "alipay", `{"max":1001}`, 400, "INVALID_ARGUMENT"},
		{"a lease that waits too long", "/app/v1/tasks/lease", "alipay", `{"waitSeconds":21}`, 400, "INVALID_ARGUMENT"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.t = t
			w.call("POST", c.path, c.client, c.body).is(c.status, c.code)
		})
	}
}

// What a body may hold only in one form: bytes that a database refuses must not reach it.
func TestOddValues(t *testing.T) {
	w := newWorld(t)
	search := func(codeID, code, last string) string {
		return fmt.Sprintf(`{"codeId":"%s","code":"%s","idLast6":"%s"}`, codeID, code, last)
	}
	event := func(more string) string {
		return `{"events":[{"sequence":1,"phoneNumber":"+8613800000001","type":"ported",` + more + `}]}`
	}
	const at = `"at":"2026-01-01T00:00:00Z"`
	for _, c := range []struct{ path, client, body string }{
		{"/v1/codes", "web", `{"phoneNumber":"13800000001"}`},
		{"/v1/codes", "web", `{"phoneNumber":"+8613800000001","language":"EN"}`},
		{"/v1/searches", "web", search(`a\u0000b`, "123456", lastSix)},
		{"/v1/searches", "web", search("清", "123456", lastSix)},
		{"/v1/searches", "web", search(strings.Repeat("a", 65), "123456", lastSix)},
		{"/v1/searches", "web", search("a", "12345", lastSix)},
		{"/v1/searches", "web", search("a", "１２３４５６", lastSix)},
		{"/v1/searches", "web", search("a", "123456", " 31002X")},
		{"/v1/searches", "web", search("a", "123456", "３１００２Ｘ")},
		{"/carrier/v1/events", "alpha", event(at + `,"tenureId":"t\u00001"`)},
		{"/carrier/v1/events", "alpha", event(at + `,"tenureId":"t 1"`)},
		{"/carrier/v1/events", "alpha", event(at + `,"tenureId":"t\u30001"`)},
		{"/carrier/v1/events", "alpha", event(at + `,"tenureId":""`)},
		{"/carrier/v1/events", "alpha", event(at + `,"receivingCarrier":"China Unicom"`)},
		{"/carrier/v1/events", "alpha", event(`"at":"1970-01-01T00:00:00Z"`)},
		{"/carrier/v1/events", "alpha", event(`"at":"0001-01-01T00:00:00Z"`)},
		{"/carrier/v1/events", "alpha", `{"events":[],"asOf":"2999-01-01T00:00:00Z"}`},
	} {
		t.Run(c.body, func(t *testing.T) {
			w.t = t
			w.call("POST", c.path, c.client, c.body).is(400, "INVALID_ARGUMENT")
		})
	}
}

func TestWrongWaysIn(t *testing.T) {
	w := newWorld(t)
	if allow := w.call("DELETE", "/v1/codes", "web", nil).is(405, "METHOD_NOT_ALLOWED").Header().Get("Allow"); allow != "POST" {
		t.Errorf("Allow %q", allow)
	}
	w.call("POST", "/v1/codes", "web", `{}`, "Content-Type", "text/plain").is(415, "UNSUPPORTED_MEDIA_TYPE")
	w.call("POST", "/v1/codes", "web", `{}`, "Content-Encoding", "gzip").is(415, "UNSUPPORTED_MEDIA_TYPE")
	w.call("GET", "/v1/nothing", "web", nil).is(404, "NOT_FOUND")
	w.call("GET", "/openapi/nothing.yaml", "", nil).is(404, "NOT_FOUND")
	if r := w.call("GET", "/openapi/channel.yaml", "", nil); r.Code != 200 || !strings.HasPrefix(r.Body.String(), "openapi: 3") {
		t.Errorf("the document: %d", r.Code)
	}
	if r := w.call("GET", "/v1/apps", "web", nil, "X-Correlator", "a-1").is(200, ""); r.Header().Get("X-Correlator") != "a-1" {
		t.Error("x-correlator is not repeated")
	}
}

// A database that is gone is our failure, and its words stay with us.
func TestInternalFailure(t *testing.T) {
	w := newWorld(t)
	b := w.begin("alipay")
	for _, client := range []string{"web", "alipay", "alpha"} {
		w.token(client)
		w.call("GET", "/v1/apps", client, nil) // the desk has seen the token
	}
	if err := w.db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, r := range []reply{
		w.call("POST", "/v1/codes", "web", map[string]string{"phoneNumber": unknown}),
		w.call("POST", "/v1/searches", "web", map[string]string{"codeId": "x", "code": "123456", "idLast6": lastSix}),
		w.call("GET", "/v1/searches/"+b.ID, "", nil, "Authorization", "Bearer "+b.AccessToken),
		w.call("GET", "/v1/apps", "", nil, "Authorization", "Bearer never-seen"),
		w.call("POST", "/app/v1/tasks/lease", "alipay", map[string]any{}),
		w.call("POST", "/app/v1/tasks/results", "alipay", map[string]any{"results": []any{count("x", 0, 0, 0)}}),
		w.call("POST", "/carrier/v1/events", "alpha", map[string]any{"events": []any{}}),
		w.grant("alipay", secret, url.Values{"grant_type": {"client_credentials"}, "scope": {"app"}}),
	} {
		if r.is(500, "INTERNAL"); strings.Contains(r.Body.String(), "database") {
			t.Errorf("%s", r.Body)
		}
	}
}

// A known, an unknown, a frozen and a foreign number get the same answer for the same work.
func TestCodesTellNothingOfTheNumber(t *testing.T) {
	w := newWorld(t)
	long := w.clock.Now().AddDate(-1, 0, 0)
	w.report("alpha", 1, held, "activated", long, "tenureId", "t-1")
	w.report("alpha", 2, frozen, "activated", long, "tenureId", "t-2")
	w.report("alpha", 3, frozen, "cancelled", w.clock.Now().Add(-time.Hour), "tenureId", "t-2")
	w.call("POST", "/v1/codes", "web", map[string]string{"phoneNumber": "+8613800000009"}).is(202, "") // makes the channel's budget
	type told struct {
		status, length int
		headers        string
		work           map[store.Change]int64
	}
	var first told
	for i, number := range []string{held, unknown, frozen, foreign} {
		before := maps.Clone(w.db.Changed())
		r := w.call("POST", "/v1/codes", "web", map[string]string{"phoneNumber": number})
		r.Header().Del("Date")
		got := told{r.Code, r.Body.Len(), headers(r), map[store.Change]int64{}}
		for change, n := range w.db.Changed() {
			if n -= before[change]; n != 0 {
				got.work[change] = n
			}
		}
		if i == 0 {
			first = got
			if len(first.work) < 4 {
				t.Fatalf("only %v was written", first.work)
			}
		}
		if !reflect.DeepEqual(got, first) {
			t.Errorf("%s: %+v, for the known one %+v", number[:4], got, first)
		}
	}
}

func FuzzTaskID(f *testing.F) {
	f.Add("Lg")
	f.Add(base64.RawURLEncoding.EncodeToString([]byte("subject.ref")))
	w := newWorld(f) // one for all inputs of a process
	f.Fuzz(func(t *testing.T, id string) {
		w.t = t
		verdicts, err := w.rules.TakeAnswers(t.Context(), "alipay", []search.Answer{{ID: id, Kind: search.KindCount}})
		if err != nil || verdicts[0].Accepted {
			t.Errorf("%q: %+v, %v", id, verdicts, err)
		}
	})
}

func FuzzBodies(f *testing.F) {
	for _, seed := range []string{`{"phoneNumber":"+8613800000001"}`, `{"codeId":"x","code":"123456","idLast6":"123456"}`, `{"max":1}`,
		`{"results":[{"id":"x","outcome":"count","accounts":1}]}`, `{"events":[{"sequence":1,"phoneNumber":"+8613800000001","type":"ported","at":"2026-01-01T00:00:00Z"}]}`,
		"grant_type=client_credentials&scope=app"} {
		f.Add(seed, "Bearer x")
	}
	w := newWorld(f) // one for all inputs of a process
	f.Fuzz(func(t *testing.T, body, authorization string) {
		w.t = t
		for path, client := range map[string]string{"/v1/codes": "web", "/v1/searches": "web", "/app/v1/tasks/lease": "alipay",
			"/app/v1/tasks/results": "alipay", "/carrier/v1/events": "alpha", "/oauth2/token": "web"} {
			for _, shown := range []string{authorization, "Bearer " + w.token(client)} {
				r := httptest.NewRequest("POST", path, strings.NewReader(body))
				r.Header["Authorization"] = []string{shown}
				r.Header.Set("Content-Type", "application/json")
				if path == "/oauth2/token" {
					r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				}
				answer := httptest.NewRecorder()
				if w.bare.ServeHTTP(answer, r); answer.Code >= 500 {
					t.Errorf("%s: %d %s", path, answer.Code, answer.Body)
				}
			}
		}
	})
}
