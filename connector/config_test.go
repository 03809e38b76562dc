package connector

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const goodConfig = `hub: https://hub.example
clientId: app-1
clientSecretFile: secret
database:
  driver: sqlite
  url: users.db
query: SELECT phone AS phone_number, seen AS verified_at FROM users WHERE phone IN (SELECT value FROM json_each($1))
`

func TestConfigIsRead(t *testing.T) {
	c, err := ParseConfig([]byte(goodConfig + "numberFormat: national\ncountryCode: \"86\"\ntimeZone: UTC\nbatch: 500\nconcurrency: 4\nqueryTimeoutSeconds: 9\n"))
	if err != nil {
		t.Fatal(err)
	}
	o := c.sqlOptions("x")
	if o.NumberFormat != National || o.CountryCode != "86" || o.Zone != time.UTC || o.Timeout != 9*time.Second || c.Batch != 500 || c.Concurrency != 4 {
		t.Errorf("read %+v", c)
	}
}

func TestExampleConfigIsGood(t *testing.T) {
	c, err := LoadConfig("../deploy/connector.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if c.ClientID != "my-app" || c.Database.Driver != "postgres" {
		t.Errorf("read %+v", c)
	}
}

func TestBadConfigs(t *testing.T) {
	tests := map[string]struct {
		from, to string // replaced in the good one
		want     string
	}{
		"unknown key":             {"clientId:", "clientID:", `line 2: unknown field "clientID"`},
		"unknown key further in":  {"  url:", "  path:", `line 6: unknown field "path"`},
		"the secret in the file":  {"clientSecretFile: secret", "clientSecret: hush", `line 3: unknown field "clientSecret"`},
		"a key twice":             {"clientId: app-1", "clientId: app-1\nclientId: app-2", "line 3"},
		"a word for a number":     {"clientId: app-1", "clientId: app-1\nbatch: many", "line 3"},
		"not YAML":                {"database:", "database: [", "line"},
		"http":                    {"https://", "http://", "must start with https"},
		"no hub":                  {"hub: https://hub.example", "", "hub must be"},
		"no client":               {"clientId: app-1", "", "clientId is missing"},
		"no secret":               {"clientSecretFile: secret", "", "set one of clientSecretFile"},
		"two secrets":             {"clientId: app-1", "clientId: app-1\nclientSecretEnv: A", "set one of clientSecretFile"},
		"no address":              {"  url: users.db\n", "", "set one of database.url"},
		"two addresses":           {"  url: users.db", "  url: users.db\n  urlEnv: A", "set one of database.url"},
		"unknown driver":          {"driver: sqlite", "driver: mysql", "database.driver must be"},
		"no query":                {"query: SELECT", "# ", "query is missing"},
		"query without parameter": {"$1", "?", "must use $1"},
		"format":                  {"query:", "numberFormat: plain\nquery:", "numberFormat must be"},
		"national, no country":    {"query:", "numberFormat: national\nquery:", "countryCode must be"},
		"zone":                    {"query:", "timeZone: Peking\nquery:", "timeZone must be"},
		"the machine's zone":      {"query:", "timeZone: Local\nquery:", "timeZone must be"},
		"batch":                   {"query:", "batch: 1001\nquery:", "batch must be between"},
		"concurrency":             {"query:", "concurrency: -1\nquery:", "concurrency must be between"},
		"timeout":                 {"query:", "queryTimeoutSeconds: 301\nquery:", "queryTimeoutSeconds must be between"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(goodConfig, test.from, test.to, 1)
			if text == goodConfig {
				t.Fatal("nothing was replaced")
			}
			_, err := ParseConfig([]byte(text))
			var wrong *ConfigError
			if !errors.As(err, &wrong) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "hush") {
				t.Errorf("the error repeats the secret: %v", err)
			}
		})
	}
}

func TestSecretsComeFromElsewhere(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, "connector.yaml", goodConfig)
	write(t, folder, "secret", " s+cret\n")
	c, err := LoadConfig(filepath.Join(folder, "connector.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	o, err := c.Options(&accounts{}, nil)
	if err != nil || o.ClientSecret != "s+cret" {
		t.Errorf("secret %q, %v", o.ClientSecret, err)
	}

	t.Setenv("CONNECTOR_TEST_SECRET", "from outside")
	c.ClientSecretFile, c.ClientSecretEnv = "", "CONNECTOR_TEST_SECRET"
	if o, err = c.Options(&accounts{}, nil); err != nil || o.ClientSecret != "from outside" {
		t.Errorf("secret %q, %v", o.ClientSecret, err)
	}
}

func TestMissingSecretsAreSaid(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, "empty", "\n")
	write(t, folder, "long", strings.Repeat("x", secretBytesMax+1))
	tests := map[string]struct {
		c    Config
		want string
	}{
		"no file":     {Config{ClientSecretFile: "none"}, "no such file"},
		"empty file":  {Config{ClientSecretFile: "empty"}, "is empty"},
		"long file":   {Config{ClientSecretFile: "long"}, "is over"},
		"no variable": {Config{ClientSecretEnv: "CONNECTOR_TEST_NOT_SET"}, "CONNECTOR_TEST_NOT_SET is empty or not set"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.c.folder = folder
			_, err := test.c.Options(&accounts{}, nil)
			var wrong *ConfigError
			if !errors.As(err, &wrong) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

func write(t *testing.T, folder, name, text string) string {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Whatever a file holds, it is a configuration within bounds or a *ConfigError; never a panic.
func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(goodConfig))
	f.Add([]byte("hub: [\n"))
	f.Add([]byte("a: &a [*a]\nhub: *a\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 4<<10 {
			return
		}
		c, err := ParseConfig(text)
		var wrong *ConfigError
		if err != nil && !errors.As(err, &wrong) {
			t.Errorf("error of type %T", err)
		}
		if err == nil && (c.ClientID == "" || c.Batch < 0 || c.Batch > BatchMax || !strings.Contains(c.Query, "$1")) {
			t.Errorf("accepted %+v", c)
		}
	})
}
