package contracttest_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"untether/api"
	"untether/internal/api/contracttest"
	"untether/internal/api/respond"
	"untether/internal/api/wire"
	"untether/internal/fault"
)

var silent = slog.New(slog.DiscardHandler)

// heard is a test that only listens to what Validate complains about.
type heard struct {
	testing.TB
	complaints []string
}

func (h *heard) Helper() {}
func (h *heard) Errorf(format string, a ...any) {
	h.complaints = append(h.complaints, fmt.Sprintf(format, a...))
}

func TestValidate(t *testing.T) {
	ok := wire.IssuedCode{CodeID: "c"}
	answer := func(status int, v any) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { respond.JSON(w, status, v) }
	}
	fail := func(err error) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { respond.Fail(w, r, silent, err) }
	}
	const good = `{"phoneNumber":"+8613812345678"}`
	for _, c := range []struct {
		name, method, path, body string
		handler                  http.HandlerFunc
		complains                string
	}{
		{"as documented", "POST", "/v1/codes", good, answer(202, ok), ""},
		{"another path", "POST", "/portal", good, answer(200, ok), ""},
		{"undocumented status", "POST", "/v1/codes", good, answer(201, ok), "status"},
		{"missing property", "POST", "/v1/codes", good, answer(202, map[string]string{"codeId": "c"}), "expiresAt"},
		{"additional property", "POST", "/v1/codes", good, answer(202, map[string]string{"codeId": "c", "expiresAt": "2026-03-01T09:00:00Z", "x": ""}), "x"},
		{"takes what is forbidden", "POST", "/v1/codes", `{"phoneNumber":"138"}`, answer(202, ok), "forbids"},
		{"listed failure", "POST", "/v1/codes", good, fail(fault.Invalidf("No.")), ""},
		{"failure with a code of another status", "POST", "/v1/codes", good, fail(fault.New(fault.Invalid, "NOT_FOUND", "No.")), "not listed"},
		{"failure that is not listed here", "POST", "/v1/codes", good, fail(fault.New(fault.Forbidden, "IDENTITY_NOT_MATCHED", "No.")), "not listed"},
		{"failure in another shape", "POST", "/v1/codes", good, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusBadRequest) }, "Content-Type"},
		{"wrong method", "PUT", "/v1/codes", good, fail(respond.ErrMethodNotAllowed), ""},
		{"wrong method in words", "PUT", "/v1/codes", good, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusMethodNotAllowed) }, "shape"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &heard{TB: t}
			r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
			r.Header.Set("Content-Type", "application/json")
			contracttest.Validate(h, c.handler).ServeHTTP(httptest.NewRecorder(), r)
			all := strings.Join(h.complaints, "\n")
			if (c.complains == "") != (all == "") || !strings.Contains(all, c.complains) {
				t.Errorf("complaints %q, want %q", all, c.complains)
			}
		})
	}
}

// strict is a door without rules behind it: what the document allows, it answers with 204.
func strict(t *testing.T, name string) http.Handler {
	text, err := api.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	document, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	document.Servers = nil
	router, err := gorillamux.NewRouter(document)
	if err != nil {
		t.Fatal(err)
	}
	door := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		route, params, err := router.FindRoute(r)
		if err != nil {
			respond.Fail(w, r, silent, respond.ErrNotFound)
			return
		}
		body, _ := io.ReadAll(r.Body)
		if err := decode(w, r, route.Operation.OperationID, body); err != nil {
			respond.Fail(w, r, silent, err)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		err = openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route,
			Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}})
		if err != nil {
			respond.Fail(w, r, silent, fault.Invalidf("Refused by the document."))
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return respond.Recover(silent)(respond.Headers(silent)(respond.Correlator(silent)(door)))
}

func decode(w http.ResponseWriter, r *http.Request, operation string, body []byte) error {
	r.Body = io.NopCloser(bytes.NewReader(body))
	take := map[string]func() error{
		"issueCode":       taker[wire.IssueCodeRequest](w, r),
		"startSearch":     taker[wire.StartSearchRequest](w, r),
		"leaseTasks":      taker[wire.LeaseRequest](w, r),
		"reportResults":   taker[wire.ResultsRequest](w, r),
		"reportEvents":    taker[wire.EventsRequest](w, r),
		"matchIdentity":   taker[wire.IdentityMatchRequest](w, r),
		"sendMessage":     taker[wire.SendMessageRequest](w, r),
		"advanceClock":    taker[wire.AdvanceClockRequest](w, r),
		"makeNumberEvent": taker[wire.NumberEventRequest](w, r),
		"changeApp":       taker[wire.ChangeAppRequest](w, r),
		"logIn":           taker[wire.LoginRequest](w, r),
	}[operation]
	if take == nil {
		return nil
	}
	return take()
}

func taker[T any](w http.ResponseWriter, r *http.Request) func() error {
	return func() error {
		_, err := respond.Decode[T](w, r, 1<<20)
		return err
	}
}

// Every request of the generator must be one that a strict reader of the document refuses, without repeating it.
func TestMalformedIsRefused(t *testing.T) {
	const each = 2000
	for _, name := range api.Names {
		if name == "access.yaml" {
			continue // the form is read by the package that issues tokens
		}
		door := strict(t, name)
		for _, op := range contracttest.Operations(t, name) {
			t.Run(op.ID, func(t *testing.T) {
				n := 0
				for q := range contracttest.Malformed(1, each, op) {
					n++
					w := httptest.NewRecorder()
					door.ServeHTTP(w, q.HTTP())
					if why := q.Check(w); why != "" {
						t.Errorf("%s: %s: %s %.200s %v %.300q", q.Spoilt, why, q.Method, q.Target, q.Header, q.Body)
					}
				}
				if n != each {
					t.Errorf("%d requests", n)
				}
			})
		}
	}
}

func TestMalformedIsTheSameForASeed(t *testing.T) {
	op := contracttest.Operations(t, "access.yaml")[0]
	list := func(seed uint64) string {
		var all strings.Builder
		for q := range contracttest.Malformed(seed, 200, op) {
			fmt.Fprintln(&all, q)
		}
		return all.String()
	}
	first, again, other := list(7), list(7), list(8)
	if first != again || first == other {
		t.Error("a seed must give the same requests, another seed others")
	}
}
