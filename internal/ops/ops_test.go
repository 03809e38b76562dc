package ops_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"untether/internal/ops"
)

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
	return answer
}

func TestHealth(t *testing.T) {
	var broken error
	checks := []ops.Check{{Name: "database", Run: func(context.Context) error { return nil }}, {Name: "smsCentre", Run: func(ctx context.Context) error {
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("a check may last for ever")
		}
		return broken
	}}}
	h := ops.New(prometheus.NewRegistry(), checks)
	for _, c := range []struct {
		path   string
		broken error
		status int
		says   string
	}{
		{"/healthz", nil, 200, `"hub":"ok"`},
		{"/readyz", nil, 200, `"smsCentre":"ok"`},
		{"/readyz", errors.New("not bound"), 503, `"smsCentre":"not ready: not bound"`},
		{"/readyz", errors.New("not bound"), 503, `"database":"ok"`},
		{"/healthz", errors.New("not bound"), 200, `"hub":"ok"`}, // a restart would not help
		{"/other", nil, 404, ""},
	} {
		broken = c.broken
		if r := get(h, c.path); r.Code != c.status || !strings.Contains(r.Body.String(), c.says) {
			t.Errorf("%s with %v: %d %s", c.path, c.broken, r.Code, r.Body)
		}
	}
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	requests := ops.NewRequests(registry)
	ops.Gauge(registry, "untether_bound", "Whether.", func() float64 { return 1 })
	ops.Counter(registry, "untether_texts_total", "Texts.", func() float64 { return 7 })
	door := requests.Door("api", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refused" {
			w.WriteHeader(http.StatusForbidden)
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Errorf("a door hides what is behind it: %v", err)
		}
	}))
	get(door, "/")
	get(door, "/refused")
	get(door, "/refused")
	text := get(ops.New(registry, nil), "/metrics").Body.String()
	for _, line := range []string{`untether_http_request_seconds_count{door="api",status="200"} 1`, `untether_http_request_seconds_count{door="api",status="403"} 2`,
		"untether_bound 1", "untether_texts_total 7", "go_goroutines"} {
		if !strings.Contains(text, line) {
			t.Errorf("%q is missing", line)
		}
	}
}
