package hub

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"untether/internal/access"
	"untether/internal/sms"
	"untether/internal/store"
	"untether/internal/verification"
)

const secretInFile = "hush-hush"

// folder makes a directory with the example's secrets and a configuration.
func folder(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"untether.yaml": text, "root.key": strings.Repeat("5a", 32) + "\n", "sms-password": secretInFile + "\n",
		"mobile-identity-secret": secretInFile, "empty": "\n", "database-url": "postgres://u:" + secretInFile + "@db/untether\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "untether.yaml")
}

func example(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/untether.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheExampleLoads(t *testing.T) {
	path := folder(t, example(t))
	o, err := LoadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	if o.Database != filepath.Join(filepath.Dir(path), "untether.db") || o.SMS.Password != secretInFile || o.Carriers[0].Secret != secretInFile {
		t.Error("paths are relative to the file, and secrets have no white space around them")
	}
	if o.Freeze != 90*24*time.Hour || o.Place.String() != "Asia/Shanghai" || !o.Secure || o.Keys == nil || o.Clock == nil || o.Log == nil {
		t.Errorf("freeze %v, place %v, secure %v", o.Freeze, o.Place, o.Secure)
	}
	want := access.Client{ID: "alipay", Role: access.App, Subject: "alipay", Scopes: []string{access.ScopeApp}}
	if got := o.Clients[1]; got.ID != want.ID || got.Role != want.Role || got.Subject != want.Subject || got.Scopes[0] != want.Scopes[0] {
		t.Errorf("the app's client is %+v", got)
	}
}

// Whoever takes a comment mark away gets what the comment says is the default.
func TestTheExamplesCommentsAreTheDefaults(t *testing.T) {
	text := example(t)
	for _, line := range []string{"retention: {", "  tls: ", "  systemType: ", "  sourceTon: ", "  sourceNpi: ", "  messageIds: ", "  window: ",
		"  enquireLinkSeconds: ", "  responseTimeoutSeconds: ", "  reconnectMaxSeconds: ", "brand: ", "serviceName: ", "menu: ", "leaseSeconds: "} {
		marked := strings.Replace("# "+line, "#   ", "  # ", 1)
		if !strings.Contains(text, "\n"+marked) {
			t.Fatalf("the example does not say %q", marked)
		}
		text = strings.Replace(text, "\n"+marked, "\n"+line, 1)
	}
	o, err := LoadConfig(folder(t, text))
	if err != nil {
		t.Fatal(err)
	}
	if o.Retention != store.DefaultPolicy() || o.Lease != time.Minute {
		t.Errorf("retention %+v, service %+v, menu %+v, lease %v", o.Retention, o.ServiceName, o.Menu, o.Lease)
	}
	s := o.SMS
	if s.TLS == nil || s.TLS.ServerName != "smsc.internal" || s.IDs != sms.IDsAlike || s.Window != 32 || s.EnquireLink != 30*time.Second ||
		s.ResponseTimeout != 20*time.Second || s.ReconnectMax != 30*time.Second {
		t.Errorf("sms %+v", s)
	}
	if ch := o.Channels[PortalChannel]; ch.Codes != verification.CodesDefault || ch.Guesses != verification.GuessesDefault {
		t.Errorf("the portal's budgets are %+v", ch)
	}
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	tests := []struct{ name, old, new, want string }{
		{"an unknown key", "opsListen:", "opsListens:", `line 10: unknown field "opsListens"`},
		{"no YAML", "listen: 127", "listen: [", "line"},
		{"no port", "listen: 127.0.0.1:8080", "listen: 127.0.0.1", "listen must be an address and a port"},
		{"no listener", "listen: 127.0.0.1:8080", "", "listen must be an address and a port"},
		{"metrics for everyone", "opsListen: 127.0.0.1:9090", "opsListen: 0.0.0.0:9090", "opsListen must be a loopback address"},
		{"a key twice", "listen: 127.0.0.1:8080\n", "listen: 127.0.0.1:8080\nlisten: 127.0.0.1:8081\n", "already defined"},
		{"no database", "database: untether.db", "", "set one of database, databaseFile and databaseEnv"},
		{"two databases", "database: untether.db", "database: untether.db\ndatabaseFile: database-url", "set one of database"},
		{"a password in the file", "database: untether.db", "database: postgres://u:hush-hush@db/untether", "move the address into a file"},
		{"a password as a parameter", "database: untether.db", "database: postgres://u@db/untether?password=hush-hush", "move the address into a file"},
		{"no key", "keyFile: root.key", "", "keyFile is missing. Make one"},
		{"a key that is not there", "keyFile: root.key", "keyFile: other.key", "Never make a second key"},
		{"a key that is none", "keyFile: root.key", "keyFile: sms-password", "does not hold a root key"},
		{"letters as short code", `shortCode: "10699000"`, "shortCode: Untether", "shortCode must be"},
		{"no SMS centre", "address: smsc.internal:2775", "", "sms.address must be"},
		{"a long system id", "systemId: untether", "systemId: untether-untether", "sms.systemId must be"},
		{"no password", "passwordFile: sms-password", "", "sms.password: set one of passwordFile and passwordEnv"},
		{"a password file that is not there", "passwordFile: sms-password", "passwordFile: none", "sms.password: open"},
		{"an empty password", "passwordFile: sms-password", "passwordFile: empty", "sms.password: empty is empty"},
		{"an empty variable", "passwordFile: sms-password", "passwordEnv: UNTETHER_TEST_NOT_SET", "UNTETHER_TEST_NOT_SET is empty"},
		{"message ids of a third kind", "# messageIds: alike", "messageIds: octal", "sms.messageIds must be"},
		{"a window for everybody", "# window: 32", "window: 100000", "sms.window must be between 1 and 1000"},
		{"a negative time-out", "# responseTimeoutSeconds: 20", "responseTimeoutSeconds: -1", "sms.responseTimeoutSeconds must be between"},
		{"one language", "# brand: {zh-CN: 某某通信, en: Some Carrier}", "brand: {en: Some Carrier}", "brand needs both languages"},
		{"no such catalogue", "# catalogFile: apps.yaml", "catalogFile: apps.yaml", "catalogFile: open"},
		{"a catalogue of nothing", "# catalogFile: apps.yaml", "catalogFile: empty", "catalogFile: invalid catalogue"},
		{"a short freeze in China", "freezeDays: 90", "freezeDays: 89", "freezeDays must be between 90 and 3650 for the country cn"},
		{"a short freeze in the US", "country: cn\n", "country: us\n#", ""},
		{"no freeze elsewhere", "country: cn", "country: fr", ""},
		{"no zone", "timeZone: Asia/Shanghai", "timeZone: Mars/Olympus", "timeZone must be"},
		{"this machine's zone", "timeZone: Asia/Shanghai", "timeZone: Local", "timeZone must be"},
		{"no networks", "networks: [10.20.0.0/16]", "", "networks is empty"},
		{"an address as network", "networks: [10.20.0.0/16]", "networks: [10.20.0.1]", `"10.20.0.1" is not a network`},
		{"no prefixes", `["+86134", "+86135", "+86136", "+86137", "+86138", "+86139"]`, "[]", "prefixes is empty"},
		{"a prefix without plus", `"+86134"`, `86134`, `the prefix "86134" must be`},
		{"identity in the clear", "https://identity.mobile.internal", "http://identity.mobile.internal", "identityUrl must be https"},
		{"no identity address", "https://identity.mobile.internal", "identity", "identityUrl must be the address"},
		{"no carrier's secret", "secretFile: mobile-identity-secret", "", "carriers[0] (mobile): secret: set one of secretFile and secretEnv"},
		{"a client twice", "id: wechat-account", "id: alipay", "clients[2] (alipay): every client needs an id of its own"},
		{"a client called portal", "id: wechat-account", "id: portal", "clients[2] (portal): every client needs an id of its own"},
		{"an app that nobody knows", "app: alipay", "app: myspace", "clients[1] (alipay): app must be"},
		{"a carrier that nobody knows", "carrier: mobile", "carrier: other", "clients[0] (mobile-events): carrier must be"},
		{"a role that there is not", "role: channel", "role: king", "role must be channel, app or carrier"},
		{"a scope of another role", "role: channel", "role: channel\n    scopes: [carrier]", "the one scope of this role is channel"},
		{"a secret as its hash", "secretHash: 7d0d3a8fca6a1aa3e0c3b8d0e5a3f1f0b6a8a2d7c4a94a3df8f65c5d0b1f6a02", "secretHash: hush-hush", "secretHash must be"},
		{"a secret and its hash", "role: app", "role: app\n    secretFile: sms-password", "set one of secretHash, secretFile and secretEnv"},
		{"a budget of nobody", "  portal:\n", "  nobody:\n", "channels.nobody: there is no client"},
		{"no budget at all", "codes: {count: 600,", "codes: {count: 0,", "channels.portal.codes needs count"},
		{"a lease for ever", "# leaseSeconds: 60", "leaseSeconds: 86400", "leaseSeconds must be between 1 and 3600"},
		{"kept for ever", "# retention: {codesDays: 2", "retention: {codesDays: 99999", "retention.codesDays must be between 1 and 3650"},
		{"a loud log", "level: info", "level: loud", "log.level must be"},
		{"a log in XML", "format: json", "format: xml", "log.format must be"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			before := example(t)
			after := strings.Replace(before, test.old, test.new, 1)
			if after == before {
				t.Fatalf("the example does not say %q", test.old)
			}
			_, err := LoadConfig(folder(t, after))
			if test.want == "" {
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %q", err, test.want)
			}
			if strings.Contains(err.Error(), secretInFile) {
				t.Errorf("a secret stands in %v", err)
			}
		})
	}
}

func TestEverythingWrongIsSaidAtOnce(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "only a comment": "# nothing\n"} {
		_, err := LoadConfig(folder(t, text))
		if err == nil {
			t.Fatalf("%s: no error", name)
		}
		for _, want := range []string{"listen", "database", "keyFile", "sms.address", "sms.systemId", "sms.password", "carriers is empty"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q is not in %v", name, want, err)
			}
		}
	}
}

func TestSecretsFromFilesAndVariables(t *testing.T) {
	t.Setenv("UNTETHER_TEST_DATABASE", "postgres://u:p@db/untether")
	for old, want := range map[string]string{
		"databaseFile: database-url":          "postgres://u:" + secretInFile + "@db/untether",
		"databaseEnv: UNTETHER_TEST_DATABASE": "postgres://u:p@db/untether",
		"database: postgres://u@/untether":    "postgres://u@/untether",
	} {
		o, err := LoadConfig(folder(t, strings.Replace(example(t), "database: untether.db", old, 1)))
		if err != nil || o.Database != want {
			t.Errorf("%s: %v, %v", old, o.Database, err)
		}
	}
	o, err := LoadConfig(folder(t, strings.Replace(example(t),
		"secretHash: 7d0d3a8fca6a1aa3e0c3b8d0e5a3f1f0b6a8a2d7c4a94a3df8f65c5d0b1f6a03", "secretFile: sms-password", 1)))
	if err != nil || o.Clients[2].SecretHash != access.HashSecret(secretInFile) {
		t.Errorf("a client's secret from a file: %v", err)
	}
}

func FuzzConfig(f *testing.F) {
	text, err := os.ReadFile("../../deploy/untether.example.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("listen: 1\nclients: [{}]\ncarriers: [{}]\nchannels: {portal: {}}\n"))
	dir := f.TempDir()
	path := filepath.Join(dir, "untether.yaml")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if o, err := LoadConfig(path); err == nil && (o.Keys == nil || o.Listen == "" || o.Database == "") {
			t.Error("accepted without what a hub needs")
		}
	})
}

func TestAPublicListenerNeedsItsNames(t *testing.T) {
	text := strings.Replace(example(t), "listen: 127.0.0.1:8080", "listen: 0.0.0.0:8080", 1)
	if _, err := LoadConfig(folder(t, text)); err != nil {
		t.Errorf("with a name: %v", err)
	}
	_, err := LoadConfig(folder(t, strings.Replace(text, "hosts: [hub.example]", "", 1)))
	if err == nil || !strings.Contains(err.Error(), "hosts is empty") {
		t.Errorf("without one: %v", err)
	}
}
