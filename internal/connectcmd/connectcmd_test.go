package connectcmd

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"
)

// scene is a folder with an app's database and configuration, and a hub that gives one task.
type scene struct {
	folder  string
	answers chan string
	hub     *httptest.Server
}

func newScene(t *testing.T) scene {
	s := scene{folder: t.TempDir(), answers: make(chan string, 1)}
	db, err := sql.Open("sqlite", filepath.Join(s.folder, "users.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Exec(`CREATE TABLE users (phone TEXT PRIMARY KEY, seen TEXT); INSERT INTO users VALUES ('13812345678', '2024-06-01')`); err != nil {
		t.Fatal(err)
	}
	tasks := make(chan string, 1)
	tasks <- `{"tasks":[{"id":"t","kind":"count","subject":{"phoneNumber":"+8613812345678"},"tenureStart":"2024-05-01T00:00:00Z","deadline":"2030-01-01T00:00:00Z"}]}`
	s.hub = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body json.RawMessage
		_ = json.NewDecoder(r.Body).Decode(&body)
		switch r.URL.Path {
		case "/oauth2/token":
			_, _ = fmt.Fprint(w, `{"access_token":"x","token_type":"Bearer","expires_in":60,"scope":"app"}`)
		case "/app/v1/tasks/lease":
			select {
			case task := <-tasks:
				_, _ = fmt.Fprint(w, task)
			case <-r.Context().Done():
			}
		case "/app/v1/tasks/results":
			_, _ = fmt.Fprint(w, `{"results":[{"id":"t","accepted":true}]}`)
			s.answers <- string(body)
		}
	}))
	t.Cleanup(s.hub.Close)
	s.write(t, "secret", "hush\n")
	return s
}

func (s scene) write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(s.folder, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (s scene) config(t *testing.T, secretFile string) string {
	return s.write(t, "connector.yaml", fmt.Sprintf(`hub: %s
clientId: app
clientSecretFile: %s
database: {driver: sqlite, url: users.db}
query: SELECT phone AS phone_number, seen AS verified_at FROM users WHERE phone IN (SELECT value FROM json_each($1))
numberFormat: national
countryCode: "86"
`, s.hub.URL, secretFile))
}

func TestServesUntilStopped(t *testing.T) {
	s := newScene(t)
	ctx, stop := context.WithCancel(t.Context())
	var stdout, stderr strings.Builder
	status := make(chan int)
	go func() { status <- Run(ctx, Args{ConfigPath: s.config(t, "secret")}, &stdout, &stderr) }()
	if got, want := <-s.answers, `{"results":[{"id":"t","outcome":"count","accounts":1,"left":0,"undated":0}]}`; got != want {
		t.Errorf("answered %s, want %s", got, want)
	}
	stop()
	if got := <-status; got != 0 {
		t.Errorf("status %d:\n%s", got, stderr.String())
	}
	if !strings.Contains(stderr.String(), "answered=1") || stdout.Len() != 0 || strings.Contains(stderr.String(), "13812345678") {
		t.Errorf("stdout %q, stderr:\n%s", stdout.String(), stderr.String())
	}
}

func TestStatuses(t *testing.T) {
	tests := map[string]struct {
		spoil          func(s scene) (path string)
		want           int
		stdout, stderr string
	}{
		"all is well":        {func(s scene) string { return s.config(t, "secret") }, 0, "ok    scope:", ""},
		"nobody at the hub":  {func(s scene) string { s.hub.Close(); return s.config(t, "secret") }, 1, "FAIL  hub:", "something wrong"},
		"no file":            {func(s scene) string { return filepath.Join(s.folder, "none.yaml") }, 2, "", "cannot be read"},
		"an unknown key":     {func(s scene) string { return s.write(t, "c.yaml", "hubs: x\n") }, 2, "", `line 1: unknown field "hubs"`},
		"no path was given":  {func(scene) string { return "" }, 2, "", "cannot be read"},
		"the secret is away": {func(s scene) string { return s.config(t, "none") }, 1, "FAIL  credentials:", "something wrong"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			var stdout, stderr strings.Builder
			got := Run(t.Context(), Args{ConfigPath: test.spoil(s), Check: true}, &stdout, &stderr)
			if got != test.want || !strings.Contains(stdout.String(), test.stdout) || !strings.Contains(stderr.String(), test.stderr) {
				t.Errorf("status %d, want %d\nstdout:\n%s\nstderr:\n%s", got, test.want, stdout.String(), stderr.String())
			}
		})
	}
}

func TestServingWithoutASecretIsWrongUsage(t *testing.T) {
	s := newScene(t)
	var stderr strings.Builder
	if got := Run(t.Context(), Args{ConfigPath: s.config(t, "none")}, &strings.Builder{}, &stderr); got != 2 {
		t.Errorf("status %d:\n%s", got, stderr.String())
	}
}
