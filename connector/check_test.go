package connector

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"untether/internal/clock"
)

func TestCheck(t *testing.T) {
	type scene struct {
		hub    *fakeHub
		config *Config
	}
	tests := map[string]struct {
		spoil func(s *scene)
		want  []string // lines, in order
		fails bool
	}{
		"all is well": {func(*scene) {}, []string{
			"ok    configuration:", "ok    database: reached", "ok    query with no number:", "ok    query with a made-up number:",
			"ok    a batch of 1,000:", "ok    plan:", "ok    hub: reached", "ok    credentials:", "ok    scope:"}, false},
		"no index": {func(s *scene) {
			s.config.Query = strings.NewReplacer("T phone", "T account", "E phone", "E account").Replace(s.config.Query)
		},
			[]string{"ok    a batch of 1,000:", "warn  plan: the query reads the whole of users"}, false},
		"a date that cannot be read is met only in use": {func(s *scene) { s.config.Query = strings.ReplaceAll(s.config.Query, "exact", "words") },
			[]string{"ok    query with a made-up number:"}, false},
		"no database": {func(s *scene) { s.config.Database.URL = "none.db" },
			[]string{"FAIL  database:", "→ check that the file exists", "ok    hub: reached", "ok    scope:"}, true},
		"no table": {func(s *scene) { s.config.Query = strings.ReplaceAll(s.config.Query, "users", "people") },
			[]string{"ok    database:", "FAIL  query with no number:", "→ check the names of tables"}, true},
		"unknown column": {func(s *scene) { s.config.Query = strings.ReplaceAll(s.config.Query, "verified_at", "seen_at") },
			[]string{"FAIL  query with no number:", `"seen_at"`, "must return verified_at"}, true},
		"rows that were not asked for": {func(s *scene) { s.config.Query += " OR 1=1" },
			[]string{"FAIL  query with no number:", "not asked for"}, true},
		"no json_each": {func(s *scene) {
			s.config.Query = "SELECT phone AS phone_number, exact AS verified_at FROM users WHERE phone IN ($1)"
		}, []string{"warn  configuration: on SQLite $1 is a JSON array"}, false},
		"nobody at the hub": {func(s *scene) { s.hub.Close() }, []string{"ok    plan:", "FAIL  hub:", "→ check that the hub runs"}, true},
		"wrong secret":      {func(s *scene) { s.config.ClientID = "app-2" }, []string{"ok    hub: reached", "FAIL  credentials:", "→ check clientId"}, true},
		"scope not granted": {func(s *scene) { s.hub.deny = "check" }, []string{"ok    credentials:", "FAIL  scope:", "→ ask the hub's operator"}, true},
		"scope refused": {func(s *scene) {
			s.hub.before = func(w http.ResponseWriter, _ *http.Request) bool { return refuse(w, 400, "invalid_scope") }
		}, []string{"FAIL  scope:"}, true},
		"hub in trouble": {func(s *scene) {
			s.hub.before = func(w http.ResponseWriter, _ *http.Request) bool { return refuse(w, 503, "UNAVAILABLE") }
		}, []string{"FAIL  credentials:", "→ the hub is in trouble"}, true},
		"not a hub": {func(s *scene) { s.config.Hub += "/elsewhere" }, []string{"FAIL  credentials:", "→ check that `hub`"}, true},
		"no secret": {func(s *scene) { s.config.ClientSecretFile = "none" }, []string{"FAIL  credentials:", "no such file"}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := scene{hub: newFakeHub(t, clock.System{})}
			path, db := openSQLite(t)
			run(t, db, usersTable, "CREATE INDEX users_phone ON users (phone)",
				`INSERT INTO users (phone, exact, words) VALUES ('+8613800000001', '2024-05-01T10:00:00Z', 'last spring')`)
			folder := t.TempDir()
			write(t, folder, "secret", "s+cret\n")
			config, err := LoadConfig(write(t, folder, "connector.yaml", fmt.Sprintf(`hub: %s
clientId: app-1
clientSecretFile: secret
database: {driver: sqlite, url: %q}
query: SELECT phone AS phone_number, exact AS verified_at FROM users WHERE phone IN (SELECT value FROM json_each($1))
`, s.hub.URL, path)))
			if err != nil {
				t.Fatal(err)
			}
			s.config = config
			test.spoil(&s)
			var report strings.Builder
			err = Check(t.Context(), s.config, &report)
			if errors.Is(err, ErrCheckFailed) != test.fails || strings.Contains(report.String(), "FAIL") != test.fails {
				t.Errorf("error %v, want a failure: %v", err, test.fails)
			}
			rest := report.String()
			for _, line := range test.want {
				_, after, found := strings.Cut(rest, line)
				if !found {
					t.Fatalf("the report lacks %q in its place:\n%s", line, report.String())
				}
				rest = after
			}
		})
	}
}

// PostgreSQL's plan: a large table without an index is told, a small one and an indexed one are not.
func TestPlanOfPostgres(t *testing.T) {
	engines(t, func(t *testing.T, e engine) {
		if e.driver != "postgres" {
			return // SQLite's plans are in TestCheck
		}
		tests := map[string]struct {
			rows         int
			where, index string
			want         string
		}{
			"small":           {100, "{where}", "", ""},
			"large":           {50_000, "{where}", "", "users"},
			"large, an index": {50_000, "{where}", "CREATE INDEX users_phone ON users (phone)", ""},
			"an index walked": {50_000, "lower(phone) = ANY($1)", "CREATE INDEX users_phone ON users (phone, day)", "users"},
		}
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				d := e.database(t, SQLOptions{Query: "SELECT phone AS phone_number, day AS verified_at FROM users WHERE " + test.where},
					usersTable, fmt.Sprintf(`INSERT INTO users (phone) SELECT '+8613' || (900000000 + i) FROM generate_series(1, %d) AS s(i)`, test.rows),
					test.index, "ANALYZE users")
				got, err := d.wholeTable(t.Context(), madeUpNumbers(BatchMax, ""))
				if err != nil || got != test.want {
					t.Errorf("reads whole %q, %v; want %q", got, err, test.want)
				}
			})
		}
	})
}
