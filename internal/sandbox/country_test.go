package sandbox_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"untether/internal/api/contracttest"
	"untether/internal/clock"
	"untether/internal/portal"
	"untether/internal/sandbox"
	"untether/internal/words"
)

// world is a small country with its doors open, without a hub.
type world struct {
	*sandbox.Country
	clock *clock.Movable
	door  http.Handler
	url   string // of the door, with every answer held to its document
}

func open(t *testing.T, dir string) *world {
	t.Helper()
	c := &clock.Movable{}
	country, err := sandbox.Open(t.Context(), sandbox.Options{Dir: dir, Clock: c, Seed: 3, People: 200, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	door := country.Handler(plainPages{})
	server := httptest.NewServer(contracttest.Validate(t, door))
	t.Cleanup(func() {
		server.Close()
		if err := country.Close(); err != nil {
			t.Error(err)
		}
	})
	return &world{country, c, door, server.URL}
}

// plainPages stands in for the portal's frame.
type plainPages struct{}

func (plainPages) Language(r *http.Request) words.Language {
	return words.Match(r.Header.Get("Accept-Language"))
}
func (plainPages) Protect(next http.Handler) http.Handler {
	return http.NewCrossOriginProtection().Handler(next)
}
func (plainPages) WritePage(w http.ResponseWriter, _ *http.Request, status int, page portal.Page) {
	w.WriteHeader(status)
	_, _ = io.WriteString(w, string(page.Body))
}

// call sends a request and reads the answer as JSON.
func (w *world) call(t *testing.T, method, path, body string) (int, map[string]any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer := map[string]any{}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatalf("%s %s: %d is not JSON: %v", method, path, response.StatusCode, err)
	}
	return response.StatusCode, answer
}

func openDefault(b *testing.B) {
	country, err := sandbox.Open(b.Context(), sandbox.Options{Dir: b.TempDir(), Clock: &clock.Movable{}})
	if err != nil {
		b.Fatal(err)
	}
	if err := country.Close(); err != nil {
		b.Fatal(err)
	}
}
