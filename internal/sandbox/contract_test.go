package sandbox_test

import (
	"log/slog"
	"net/http/httptest"
	"testing"

	"untether/internal/api/contracttest"
	"untether/internal/clock"
	"untether/internal/sandbox"
)

// Whatever a generator of malformed requests sends to the control API is refused clearly, and changes nothing.
func TestMalformedRequests(t *testing.T) {
	const each = 1500
	c := &clock.Movable{}
	country, err := sandbox.Open(t.Context(), sandbox.Options{Dir: t.TempDir(), Clock: c, People: 20, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = country.Close() }()
	door := country.Handler(plainPages{})
	for _, op := range contracttest.Operations(t, "sandbox.yaml") {
		t.Run(op.ID, func(t *testing.T) {
			for q := range contracttest.Malformed(7, each, op) {
				w := httptest.NewRecorder()
				door.ServeHTTP(w, q.HTTP())
				if why := q.Check(w); why != "" {
					t.Errorf("%s: %s: %s %.200s %v %.300q", q.Spoilt, why, q.Method, q.Target, q.Header, q.Body)
				}
			}
		})
	}
	if c.Ahead() != 0 {
		t.Error("a malformed request moved the clock")
	}
}
