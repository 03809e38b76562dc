package e2e

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"untether/internal/keys"
	"untether/internal/store/storetest"
)

// What the app that no sandbox made is called, and who asks about it.
const (
	lantern       = "灯笼🏮阅读"
	lanternNumber = "+8613900012345"
	lanternID     = "12345X"
	lanternSecret = "an app's secret of its own, agreed with the operator"
)

// lanternTenure is when the present holder got the number.
var lanternTenure = time.Date(2024, 5, 1, 10, 0, 0, 0, place)

// The app's table as its engineer would have it: a hundred thousand users, most with a number of their own.
const lanternTable = `
CREATE TABLE users (
	id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	phone       TEXT NOT NULL,
	nickname    TEXT NOT NULL,
	created_at  TIMESTAMPTZ,
	verified_at TIMESTAMPTZ,
	deleted_at  TIMESTAMPTZ
);
INSERT INTO users (phone, nickname, created_at, verified_at, deleted_at)
SELECT '+86139' || lpad(i::text, 8, '0'), '读者' || i, TIMESTAMPTZ '2019-01-01 00:00+08' + i * INTERVAL '20 minutes',
	CASE WHEN i % 3 = 0 THEN TIMESTAMPTZ '2025-06-01 12:00+08' END, CASE WHEN i % 50 = 7 THEN TIMESTAMPTZ '2025-01-01 00:00+08' END
FROM generate_series(1, 99995) AS i;
INSERT INTO users (phone, nickname, created_at, verified_at, deleted_at) VALUES
	('+8613900012345', '本人二号', '2025-02-03 08:00+08', NULL, NULL),
	('+8613900012345', '前机主', '2021-02-03 08:00+08', '2023-12-31 23:59+08', NULL),
	('+8613900012345', '前机主二号', '2022-02-03 08:00+08', NULL, NULL),
	('+8613900012345', '不知何时', NULL, NULL, NULL),
	('+8613900012345', '已注销', '2025-02-03 08:00+08', NULL, '2025-02-04 08:00+08');
CREATE INDEX users_phone ON users (phone) WHERE deleted_at IS NULL;
ANALYZE users;`

// Row 12345 of the series (12345 is a multiple of three) was verified in 2025; one more registered then; two lie before the
// tenure; one has no date; the deleted one does not count.
var lanternTruth = counts{Accounts: 2, Left: 2, Undated: 1}

const lanternQuery = `SELECT phone AS phone_number, verified_at, created_at AS registered_at
FROM users WHERE phone = ANY($1) AND deleted_at IS NULL`

// An app that no sandbox made joins by `untether connect` with a table of its own; the text goes out through an SMS centre that
// we did not write and arrives whole.
func TestRealInput(t *testing.T) {
	server, directory := os.Getenv(storetest.Variable), os.Getenv("UNTETHER_NPM_SMPP")
	if server == "" || directory == "" {
		t.Skip(storetest.Variable + " and UNTETHER_NPM_SMPP (a directory with npm's smpp 0.5.1) are not both set")
	}
	t.Parallel()
	table := lanternDatabase(t, server)
	storetest.EachAddress(t, func(t *testing.T, address string) {
		l := openLantern(t, table, address, directory)
		t.Run("check says that all is well", l.checked)
		t.Run("check says what is wrong", l.checkedWrong)
		t.Run("the text arrives whole", l.searched)
	})
}

// lanternDatabase makes the app's database, a schema of its own, and gives its address.
func lanternDatabase(t *testing.T, server string) (address string) {
	t.Helper()
	u := must(url.Parse(server))(t)
	name := fmt.Sprintf("lantern_%d", os.Getpid())
	admin := storetest.Dial(t, server)
	must(admin.ExecContext(t.Context(), `CREATE SCHEMA `+name))(t)
	t.Cleanup(func() { must(admin.ExecContext(context.Background(), `DROP SCHEMA `+name+` CASCADE`))(t) })
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	db := storetest.Dial(t, u.String())
	must(db.ExecContext(t.Context(), lanternTable))(t)
	var rows int
	check(t, db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM users`).Scan(&rows))
	if rows != 100_000 {
		t.Fatalf("%d rows", rows)
	}
	return u.String()
}

// real is a hub by `untether serve` with one app, one carrier and a foreign SMS centre.
type real struct {
	*served
	centre   *foreignCentre
	carrier  *ownCarrier
	table    string // address of the app's database
	database string // address of the hub's
}

func openLantern(t *testing.T, table, database, npm string) *real {
	t.Helper()
	l := &real{served: &served{folder: t.TempDir(), address: freeAddress(t)}, centre: openForeignCentre(t, npm), table: table, database: database,
		carrier: &ownCarrier{number: lanternNumber, idLast6: lanternID, secret: "between the hub and the carrier",
			tenureID: "t-2024-0001", tenureStart: lanternTenure}}
	l.hub = "http://" + l.address
	l.configure(t)
	l.log = must(os.Create(filepath.Join(l.folder, "hub.log")))(t)
	t.Cleanup(func() {
		l.kill()
		check(t, l.log.Close())
		if t.Failed() {
			t.Logf("the hub's log ends:\n%s", tail(l.log.Name(), 4000))
		}
	})
	l.again(t)
	l.reportTenure(t)
	return l
}

// configure writes untether.yaml with what it names: secrets in files, and a catalogue with this one app.
func (l *real) configure(t *testing.T) {
	t.Helper()
	check(t, os.WriteFile(filepath.Join(l.folder, "apps.yaml"), []byte(`apps:
  - id: lantern
    name: {zh-CN: `+lantern+`, en: Lantern}
    company: {zh-CN: 灯笼科技, en: Lantern Ltd}
    kind: news
    badge: 灯
    colour: "#7a2e2e"
`), 0o600))
	_, _, err := keys.LoadOrCreate(filepath.Join(l.folder, "root.key"))
	check(t, err)
	l.config = filepath.Join(l.folder, "untether.yaml")
	writeYAML(t, l.config, yamlMap{
		"listen": l.address, "keyFile": "root.key", "catalogFile": "apps.yaml", "networks": []string{"127.0.0.0/8"},
		"databaseFile": l.secret(t, "database", l.database),
		"sms":          yamlMap{"address": l.centre.address, "systemId": "untether", "passwordFile": l.secret(t, "sms", "lantern")},
		"serviceName":  yamlMap{"zh-CN": "微信公众号“清号📱”", "en": "WeChat account Qinghao"},
		"menu":         yamlMap{"zh-CN": "我的查询", "en": "My searches"},
		"carriers": []yamlMap{{"id": "mobile", "prefixes": []string{"+86139"}, "identityUrl": l.carrier.serve(t),
			"secretFile": l.secret(t, "carrier", l.carrier.secret)}},
		"clients": []yamlMap{
			{"id": "lantern", "role": "app", "app": "lantern", "secretFile": l.secret(t, "client-secret", lanternSecret)},
			{"id": "mobile-events", "role": "carrier", "carrier": "mobile", "secretFile": l.secret(t, "events", "the carrier's own")},
			{"id": "counter", "role": "channel", "secretFile": l.secret(t, "counter", "the channel's own")},
		},
		"log": yamlMap{"level": "info", "format": "json"},
	})
	l.channel = func(ctx context.Context) (string, error) {
		return token(ctx, l.hub, "counter", "the channel's own", "channel")
	}
	l.connector(t, "connector.yaml", nil)
}

// connector writes an app's connector.yaml with something changed.
func (l *real) connector(t testing.TB, name string, change func(yamlMap)) (path string) {
	t.Helper()
	config := yamlMap{"hub": l.hub, "clientId": "lantern", "clientSecretFile": "client-secret",
		"database": yamlMap{"driver": "postgres", "urlFile": l.secret(t, "table", l.table)}, "query": lanternQuery}
	if change != nil {
		change(config)
	}
	path = filepath.Join(l.folder, name)
	writeYAML(t, path, config)
	return path
}

// reportTenure is the carrier telling the hub whose the number is.
func (l *real) reportTenure(t *testing.T) {
	t.Helper()
	bearer := must(token(t.Context(), l.hub, "mobile-events", "the carrier's own", "carrier"))(t)
	var answer struct{ Results []struct{ Status string } }
	check(t, call(t.Context(), "POST", l.hub+"/carrier/v1/events", bearer, map[string]any{"events": []yamlMap{{"sequence": 1,
		"phoneNumber": lanternNumber, "type": "activated", "at": lanternTenure, "tenureId": l.carrier.tenureID}}}, &answer))
	if len(answer.Results) != 1 || answer.Results[0].Status != "applied" {
		t.Fatalf("%+v", answer)
	}
}

func (l *real) checked(t *testing.T) {
	status, out, words, err := program(t.Context(), "connect", "--check", "--config", filepath.Join(l.folder, "connector.yaml"))
	if check(t, err); status != 0 {
		t.Fatalf("status %d\n%s%s", status, out, words)
	}
	for _, line := range []string{"configuration: read", "database: reached", "query with no number: runs", "query with a made-up number: runs",
		"a batch of 1,000: took", "plan: no large table is read whole", "hub: reached", "credentials: accepted", "scope: `app` is granted"} {
		if !strings.Contains(out, "ok    "+line) {
			t.Errorf("it does not say %q", line)
		}
	}
	if strings.Contains(out, "FAIL") || strings.Contains(out, "warn") {
		t.Errorf("it finds something wrong")
	}
	t.Logf("\n%s", out)
}

// checkedWrong has one thing wrong at a time; each is named, with what to do, and no secret is shown.
func (l *real) checkedWrong(t *testing.T) {
	l.secret(t, "other-secret", "not the one that was agreed")
	u := must(url.Parse(l.table))(t)
	u.User = url.UserPassword("nobody_of_that_name", "hunter2hunter2")
	l.secret(t, "other-database", u.String())
	for name, test := range map[string]struct {
		change func(yamlMap)
		status int
		says   []string
	}{
		"the wrong secret":        {func(c yamlMap) { c["clientSecretFile"] = "other-secret" }, 1, []string{"FAIL  credentials", "check clientId"}},
		"the wrong database user": {func(c yamlMap) { c["database"].(yamlMap)["urlFile"] = "other-database" }, 1, []string{"FAIL  database", "→"}},
		"a column that is not there": {func(c yamlMap) { c["query"] = strings.ReplaceAll(lanternQuery, "verified_at", "verified_on") }, 1,
			[]string{"FAIL  query with no number", "verified_on"}},
		"a result without the number": {func(c yamlMap) { c["query"] = "SELECT verified_at FROM users WHERE phone = ANY($1)" }, 1,
			[]string{"FAIL  query with no number", "phone_number"}},
		"another address":            {func(c yamlMap) { c["hub"] = "http://" + freeAddress(t) }, 1, []string{"FAIL  hub", "→"}},
		"a query without its batch":  {func(c yamlMap) { c["query"] = "SELECT 1" }, 2, []string{"$1"}},
		"a file that is not there":   {func(c yamlMap) { c["clientSecretFile"] = "nowhere" }, 1, []string{"FAIL  credentials", "nowhere"}},
		"a key that nobody knows of": {func(c yamlMap) { c["databse"] = "x" }, 2, []string{"databse"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := l.connector(t, "wrong.yaml", test.change)
			status, out, words, err := program(t.Context(), "connect", "--check", "--config", path)
			said := out + words
			if check(t, err); status != test.status {
				t.Errorf("status %d, want %d\n%s", status, test.status, said)
			}
			for _, what := range test.says {
				if !strings.Contains(said, what) {
					t.Errorf("it does not say %q:\n%s", what, said)
				}
			}
			for _, secret := range []string{lanternSecret, "not the one that was agreed", "hunter2hunter2"} {
				if strings.Contains(said, secret) {
					t.Errorf("it shows a secret:\n%s", said)
				}
			}
		})
	}
}

// searched is the whole way, with the connector as a process.
func (l *real) searched(t *testing.T) {
	ctx := t.Context()
	connect := exec.Command(must(theProgram())(t), "connect", "--config", filepath.Join(l.folder, "connector.yaml"))
	log := must(os.Create(filepath.Join(l.folder, "connect.log")))(t)
	connect.Stderr = log
	check(t, connect.Start())
	stopped := false
	t.Cleanup(func() {
		if !stopped {
			_ = connect.Process.Kill()
			_ = connect.Wait()
		}
		_ = log.Close()
		if t.Failed() {
			t.Logf("the connector's log ends:\n%s", tail(log.Name(), 4000))
		}
	})
	p := person{PhoneNumber: lanternNumber, IDLast6: lanternID, Language: "zh-CN"}
	codeID := must(l.askCode(ctx, p, ""))(t)
	code := codeText["zh-CN"].FindStringSubmatch(l.awaitText(t, 1).text)
	if code == nil {
		t.Fatal("the first text holds no code")
	}
	s := must(l.start(ctx, p, codeID, code[1]))(t)
	reply := l.awaitText(t, 2)
	r := must(l.awaitReport(ctx, s, "replied", func(r report) bool { return r.Status == "replied" }))(t)
	check(t, same(r, map[string]counts{"lantern": lanternTruth}))
	day := r.RepliedAt.In(place)
	want := replyPhrases["zh-CN"].head(day, "2345") + "绑定账号：" + lantern + "2。前机主遗留：" + lantern + "2。绑定时间不明：" + lantern +
		"1。查看明细：微信公众号“清号📱”→“我的查询”。如有疑问请联系各公司客服。"
	if reply.text != want || reply.parts < 2 {
		t.Errorf("in %d parts arrived\n%s\nwanted\n%s", reply.parts, reply.text, want)
	}
	t.Logf("in %d parts: %s", reply.parts, reply.text)
	check(t, connect.Process.Signal(os.Interrupt))
	err := connect.Wait()
	stopped = true
	check(t, err)
	l.stop(t)
}

// awaitText waits for the nth text to the number.
func (l *real) awaitText(t *testing.T, n int) (text foreignText) {
	t.Helper()
	eventually(t, "a text at the foreign centre", func() (bool, error) {
		texts := l.centre.texts(t, strings.TrimPrefix(lanternNumber, "+"))
		if len(texts) < n {
			return false, nil
		}
		text = texts[n-1]
		return true, nil
	})
	return text
}
