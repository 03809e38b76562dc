package respond_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"untether/internal/api/respond"
	"untether/internal/fault"
)

var silent = slog.New(slog.DiscardHandler)

func failureIn(t *testing.T, w *httptest.ResponseRecorder) respond.Failure {
	t.Helper()
	var f respond.Failure
	if err := json.Unmarshal(w.Body.Bytes(), &f); err != nil || f.Status != w.Code || f.Code == "" || f.Message == "" {
		t.Fatalf("%d %q is not the shape of a failure (%v)", w.Code, w.Body, err)
	}
	if w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("headers %v", w.Header())
	}
	return f
}

func TestFail(t *testing.T) {
	refused := fault.New(fault.TooMany, "TOO_MANY_REQUESTS", "Later.")
	for _, c := range []struct {
		name       string
		err        error
		status     int
		code       string
		retryAfter string
		logged     bool
	}{
		{"invalid", fault.Invalidf("No."), 400, "INVALID_ARGUMENT", "", false},
		{"unauthenticated", fault.New(fault.Unauthenticated, "UNAUTHENTICATED", "Who?"), 401, "UNAUTHENTICATED", "", false},
		{"forbidden", fault.New(fault.Forbidden, "PERMISSION_DENIED", "No."), 403, "PERMISSION_DENIED", "", false},
		{"conflict", fault.New(fault.Conflict, "CONFLICT", "No."), 409, "CONFLICT", "", false},
		{"unprocessable", fault.New(fault.Unprocessable, "SERVICE_NOT_APPLICABLE", "No."), 422, "SERVICE_NOT_APPLICABLE", "", false},
		{"not found", respond.ErrNotFound, 404, "NOT_FOUND", "", false},
		{"method", respond.ErrMethodNotAllowed, 405, "METHOD_NOT_ALLOWED", "", false},
		{"media type", respond.ErrUnsupportedMedia, 415, "UNSUPPORTED_MEDIA_TYPE", "", false},
		{"too large", respond.ErrTooLarge, 413, "PAYLOAD_TOO_LARGE", "", false},
		{"whole seconds", refused.After(60 * time.Second), 429, "TOO_MANY_REQUESTS", "60", false},
		{"seconds rounded up", refused.After(60*time.Second + 1), 429, "TOO_MANY_REQUESTS", "61", false},
		{"less than a second", refused.After(time.Millisecond), 429, "TOO_MANY_REQUESTS", "1", false},
		{"wrapped", errors.Join(errors.New("private"), refused), 429, "TOO_MANY_REQUESTS", "", false},
		{"peer down", fault.New(fault.Unavailable, "CARRIER_UNAVAILABLE", "Later.").After(time.Minute).Because(errors.New("private")), 503, "CARRIER_UNAVAILABLE", "60", true},
		{"ours", errors.New("private"), 500, "INTERNAL", "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log bytes.Buffer
			w := httptest.NewRecorder()
			respond.Fail(w, httptest.NewRequest("GET", "/", nil), slog.New(slog.NewTextHandler(&log, nil)), c.err)
			f := failureIn(t, w)
			if w.Code != c.status || f.Code != c.code || w.Header().Get("Retry-After") != c.retryAfter {
				t.Errorf("got %d %s Retry-After %q", w.Code, f.Code, w.Header().Get("Retry-After"))
			}
			if (w.Header().Get("WWW-Authenticate") != "") != (c.status == 401) {
				t.Errorf("WWW-Authenticate %q", w.Header().Get("WWW-Authenticate"))
			}
			if strings.Contains(w.Body.String(), "private") || strings.Contains(log.String(), "private") != c.logged {
				t.Errorf("the cause is at the wrong place: answer %s, log %s", w.Body, &log)
			}
		})
	}
}

func TestFailKeepsQuietAboutThoseWhoLeft(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var log bytes.Buffer
	r := httptest.NewRequest("GET", "/", nil).WithContext(ctx)
	respond.Fail(httptest.NewRecorder(), r, slog.New(slog.NewTextHandler(&log, nil)), ctx.Err())
	if log.Len() > 0 {
		t.Errorf("logged %s", &log)
	}
}

func TestFailTokenHasBothShapes(t *testing.T) {
	for _, c := range []struct {
		kind   fault.Kind
		code   string
		want   string
		status int
	}{
		{fault.Unauthenticated, "UNAUTHENTICATED", "invalid_client", 401},
		{fault.Invalid, "INVALID_SCOPE", "invalid_scope", 400},
		{fault.Invalid, "UNSUPPORTED_GRANT_TYPE", "unsupported_grant_type", 400},
		{fault.Invalid, "INVALID_ARGUMENT", "invalid_request", 400},
	} {
		w := httptest.NewRecorder()
		respond.FailToken(w, httptest.NewRequest("POST", "/", nil), silent, fault.New(c.kind, c.code, "No."))
		f := failureIn(t, w)
		var oauth map[string]any
		_ = json.Unmarshal(w.Body.Bytes(), &oauth)
		if oauth["error"] != c.want || oauth["error_description"] != "No." || f.Code != c.code || w.Code != c.status {
			t.Errorf("%s: %s", c.code, w.Body)
		}
		if c.status == 401 && !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Basic ") {
			t.Error("no challenge")
		}
	}
}

func TestJSONThatCannotBeWritten(t *testing.T) {
	w := httptest.NewRecorder()
	respond.JSON(w, 200, math.NaN())
	if f := failureIn(t, w); f.Code != "INTERNAL" {
		t.Error(f)
	}
}

func TestJSONKeepsCharacters(t *testing.T) {
	w := httptest.NewRecorder()
	respond.JSON(w, 201, map[string]string{"a": "<&>清号"})
	if w.Code != 201 || w.Body.String() != "{\"a\":\"<&>清号\"}\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestCorrelator(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []string
		ok     bool
	}{
		{"none", nil, true},
		{"a UUID", []string{"b4333c46-49c0-4f62-80d7-f0ef930f1c46"}, true},
		{"every mark", []string{"aZ09-_:;./<>{}"}, true},
		{"empty", []string{""}, true},
		{"256", []string{strings.Repeat("a", 256)}, true},
		{"257", []string{strings.Repeat("a", 257)}, false},
		{"space", []string{"a b"}, false},
		{"Chinese", []string{"清号"}, false},
		{"at sign, beside the letters", []string{"a@b"}, false},
		{"bracket, beside the letters", []string{"a[b"}, false},
		{"backquote, beside the letters", []string{"a`b"}, false},
		{"bar, among the braces", []string{"a|b"}, false},
		{"twice", []string{"a", "b"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
			r.Header["X-Correlator"] = c.values
			var seen string
			respond.Correlator(silent)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				seen = respond.CorrelatorOf(r.Context())
			})).ServeHTTP(w, r)
			if c.ok && (w.Code != 200 || seen != r.Header.Get("X-Correlator") || w.Header().Get("X-Correlator") != seen) {
				t.Errorf("%d, seen %q, echoed %q", w.Code, seen, w.Header().Get("X-Correlator"))
			}
			if !c.ok && (failureIn(t, w).Code != "INVALID_ARGUMENT" || w.Header().Get("X-Correlator") != "") {
				t.Errorf("%d %s %v", w.Code, w.Body, w.Header())
			}
		})
	}
}

func TestHostCheck(t *testing.T) {
	check := respond.HostCheck(silent, "hub.example", "127.0.0.1:8080", "::1")(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for host, ok := range map[string]bool{
		"hub.example": true, "hub.example:8443": true, "HUB.example": true, "127.0.0.1:8080": true, "[::1]:9": true, "[::1]": true,
		"127.0.0.1:8081": false, "127.0.0.1": false, "evil.example": false, "hub.example.evil.example": false, "": false, "hub.example:80:80": false,
	} {
		r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
		r.Host = host
		check.ServeHTTP(w, r)
		if (w.Code == 200) != ok || !ok && failureIn(t, w).Code != "INVALID_ARGUMENT" {
			t.Errorf("%q: %d", host, w.Code)
		}
	}
}

func TestHeaders(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*http.Request)
		ok     bool
	}{
		{"ordinary", func(*http.Request) {}, true},
		{"long target", func(r *http.Request) { r.RequestURI = "/" + strings.Repeat("a", 2048) }, false},
		{"long value", func(r *http.Request) { r.Header.Set("A", strings.Repeat("a", 4097)) }, false},
		{"longest value", func(r *http.Request) { r.Header.Set("A", strings.Repeat("a", 4096)) }, true},
		{"many fields", func(r *http.Request) { r.Header["A"] = make([]string, 65) }, false},
		{"most fields", func(r *http.Request) { r.Header["A"] = make([]string, 64) }, true},
	} {
		r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
		c.change(r)
		respond.Headers(silent)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
		if (w.Code == 200) != c.ok || !c.ok && failureIn(t, w).Code != "INVALID_ARGUMENT" {
			t.Errorf("%s: %d", c.name, w.Code)
		}
	}
}

func TestRecover(t *testing.T) {
	var log bytes.Buffer
	wrap := respond.Recover(slog.New(slog.NewTextHandler(&log, nil)))
	w := httptest.NewRecorder()
	wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("private") })).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if f := failureIn(t, w); f.Code != "INTERNAL" || strings.Contains(w.Body.String(), "private") {
		t.Error(w.Body)
	}
	if !strings.Contains(log.String(), "private") || !strings.Contains(log.String(), "TestRecover") {
		t.Errorf("log %s", &log)
	}
}

func TestRecoverCutsAnAnswerThatHasBegun(t *testing.T) {
	server := httptest.NewServer(respond.Recover(silent)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("half"))
		_ = http.NewResponseController(w).Flush()
		panic("midway")
	})))
	defer server.Close()
	response, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := new(bytes.Buffer).ReadFrom(response.Body); err == nil {
		t.Error("half an answer passed for a whole one")
	}
}

func TestRoutes(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/searches/{id}", func(w http.ResponseWriter, r *http.Request) {
		respond.JSON(w, 200, map[string]string{"id": r.PathValue("id")})
	})
	mux.HandleFunc("POST /v1/codes", func(w http.ResponseWriter, _ *http.Request) { respond.JSON(w, 202, struct{}{}) })
	mux.HandleFunc("GET /.well-known/{$}", func(w http.ResponseWriter, _ *http.Request) { respond.JSON(w, 200, struct{}{}) })
	routes := respond.Routes(silent, mux)
	for _, c := range []struct {
		method, target string
		status         int
		code, allow    string
	}{
		{"GET", "/v1/searches/abc", 200, "", ""},
		{"GET", "/.well-known/", 200, "", ""},
		{"POST", "/v1/codes", 202, "", ""},
		{"GET", "/v1/codes", 405, "METHOD_NOT_ALLOWED", "POST"},
		{"DELETE", "/v1/searches/abc", 405, "METHOD_NOT_ALLOWED", "GET, HEAD"},
		{"BREW", "/v1/codes", 405, "METHOD_NOT_ALLOWED", "POST"},
		{"GET", "/", 404, "NOT_FOUND", ""},
		{"GET", "/v1/none", 404, "NOT_FOUND", ""},
		{"GET", "//v1/searches/abc", 404, "NOT_FOUND", ""},
		{"GET", "/v1/searches/../searches/abc", 404, "NOT_FOUND", ""},
		{"GET", "/v1/searches/%2e%2e", 404, "NOT_FOUND", ""},
		{"POST", "/v1/codes/", 404, "NOT_FOUND", ""},
	} {
		w := httptest.NewRecorder()
		routes.ServeHTTP(w, httptest.NewRequest(c.method, c.target, nil))
		if w.Code != c.status || w.Header().Get("Allow") != c.allow || c.code != "" && failureIn(t, w).Code != c.code {
			t.Errorf("%s %s: %d %s Allow %q", c.method, c.target, w.Code, w.Body, w.Header().Get("Allow"))
		}
	}
}
