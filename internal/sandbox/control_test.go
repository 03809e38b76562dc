package sandbox_test

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestBadInput(t *testing.T) {
	w := open(t, t.TempDir())
	number := w.Sample().PhoneNumber
	events := "/sandbox/v1/numbers/" + number + "/events"
	for _, c := range []struct {
		name, method, path, body string
		status                   int
	}{
		{"no such path", "GET", "/sandbox/v1/nothing", "", 404},
		{"wrong method", "DELETE", "/sandbox/v1/clock", "", 405},
		{"limit of letters", "GET", "/sandbox/v1/people?limit=many", "", 400},
		{"limit of nothing", "GET", "/sandbox/v1/people?limit=0", "", 400},
		{"limit too high", "GET", "/sandbox/v1/people?limit=5001", "", 400},
		{"q too long", "GET", "/sandbox/v1/people?q=" + strings.Repeat("a", 65), "", 400},
		{"q not UTF-8", "GET", "/sandbox/v1/people?q=%ff", "", 400},
		{"messages of nobody", "GET", "/sandbox/v1/messages", "", 400},
		{"messages of a word", "GET", "/sandbox/v1/messages?phoneNumber=abc", "", 400},
		{"message without text", "POST", "/sandbox/v1/messages", `{"from":"` + number + `"}`, 400},
		{"message with an empty text", "POST", "/sandbox/v1/messages", `{"from":"` + number + `","text":""}`, 400},
		{"message from a word", "POST", "/sandbox/v1/messages", `{"from":"me","text":"hello"}`, 400},
		{"message from abroad", "POST", "/sandbox/v1/messages", `{"from":"+4915112345678","text":"hello"}`, 404},
		{"message with a property too many", "POST", "/sandbox/v1/messages", `{"from":"` + number + `","text":"a","to":"b"}`, 400},
		{"clock without advance", "POST", "/sandbox/v1/clock", `{}`, 400},
		{"clock back", "POST", "/sandbox/v1/clock", `{"advance":"-1h"}`, 400},
		{"clock by nothing", "POST", "/sandbox/v1/clock", `{"advance":"0s"}`, 400},
		{"clock by days", "POST", "/sandbox/v1/clock", `{"advance":"2d"}`, 400},
		{"clock by centuries", "POST", "/sandbox/v1/clock", `{"advance":"2000000h"}`, 400},
		{"clock by a number", "POST", "/sandbox/v1/clock", `{"advance":48}`, 400},
		{"not JSON", "POST", "/sandbox/v1/clock", `advance=1h`, 400},
		{"two values", "POST", "/sandbox/v1/clock", `{"advance":"1h"}{}`, 400},
		{"too large", "POST", "/sandbox/v1/clock", `{"advance":"` + strings.Repeat("1", 20000) + `"}`, 413},
		{"unknown event", "POST", events, `{"type":"sold"}`, 400},
		{"event without type", "POST", events, `{}`, 400},
		{"event of a word", "POST", "/sandbox/v1/numbers/abc/events", `{"type":"cancelled"}`, 400},
		{"event of a number abroad", "POST", "/sandbox/v1/numbers/+4915112345678/events", `{"type":"activated"}`, 404},
		{"person with a wrong check digit", "POST", events, `{"type":"transferred","person":{"name":"王芳","idNumber":"110105194912310021"}}`, 400},
		{"person without a name", "POST", events, `{"type":"transferred","person":{"name":" ","idNumber":"11010519491231002X"}}`, 400},
		{"person with a control character", "POST", events, `{"type":"transferred","person":{"name":"a\u0007b","idNumber":"11010519491231002X"}}`, 400},
		{"person for a cancellation", "POST", events, `{"type":"cancelled","person":{"name":"王芳","idNumber":"11010519491231002X"}}`, 400},
		{"receiver for a cancellation", "POST", events, `{"type":"cancelled","receivingCarrier":"unicom"}`, 400},
		{"ported to nobody", "POST", events, `{"type":"ported","receivingCarrier":"vodafone"}`, 404},
		{"unknown app", "PATCH", "/sandbox/v1/apps/myspace", `{"behaviour":"slow"}`, 404},
		{"unknown behaviour", "PATCH", "/sandbox/v1/apps/qq", `{"behaviour":"moody"}`, 400},
		{"a guard", "PATCH", "/sandbox/v1/apps/qq", `{"guard":true}`, 400},
		{"a release", "PATCH", "/sandbox/v1/apps/qq", `{"release":true}`, 400},
		{"a delay", "PATCH", "/sandbox/v1/apps/qq", `{"unbindDelay":"24h"}`, 400},
		{"null", "PATCH", "/sandbox/v1/apps/qq", `{"guard":null}`, 400},
		{"log-in of nobody", "POST", "/sandbox/v1/apps/qq/logins", `{}`, 400},
		{"log-in at an unknown app", "POST", "/sandbox/v1/apps/myspace/logins", `{"phoneNumber":"` + number + `"}`, 404},
		{"log-in with a code nobody sent", "POST", "/sandbox/v1/apps/qq/logins", `{"phoneNumber":"` + number + `","code":"000000"}`, 403},
	} {
		status, answer := w.call(t, c.method, c.path, c.body)
		code, _ := answer["code"].(string)
		if status != c.status || answer["status"] != float64(c.status) || code == "" || answer["message"] == "" {
			t.Errorf("%s: %d %v, want %d", c.name, status, answer, c.status)
		}
	}
	if status, _ := w.call(t, "PATCH", "/sandbox/v1/apps/qq", `{"behaviour":"slow","guard":false,"release":false,"unbindDelay":"0s"}`); status != 200 {
		t.Errorf("what is true now was refused with %d", status)
	}
}

func TestOtherSitesMayNotDrive(t *testing.T) {
	w := open(t, t.TempDir())
	for _, path := range []string{"/sandbox/v1/clock", "/handsets/" + w.Sample().PhoneNumber[1:] + "/clock"} {
		request := httptest.NewRequest("POST", path, strings.NewReader(`{"advance":"1h"}`))
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Sec-Fetch-Site", "cross-site")
		answer := httptest.NewRecorder()
		w.door.ServeHTTP(answer, request)
		if answer.Code != 403 || w.clock.Ahead() != 0 {
			t.Errorf("%s: %d", path, answer.Code)
		}
	}
}

// A plus sign that nobody escaped is taken for what was meant.
func TestNumberWithABarePlus(t *testing.T) {
	w := open(t, t.TempDir())
	answer := httptest.NewRecorder()
	w.door.ServeHTTP(answer, httptest.NewRequest("GET", "/sandbox/v1/messages?phoneNumber="+w.Sample().PhoneNumber, nil))
	if answer.Code != 200 {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
}

func TestPeople(t *testing.T) {
	w := open(t, t.TempDir())
	_, answer := w.call(t, "GET", "/sandbox/v1/people?limit=5000", "")
	all := answer["people"].([]any)
	if len(all) < 200 {
		t.Fatalf("%d people", len(all))
	}
	first := all[0].(map[string]any)
	if _, err := time.Parse(time.RFC3339, first["tenureStart"].(string)); err != nil || len(first["idLast6"].(string)) != 6 || len(first["accounts"].(map[string]any)) != 16 {
		t.Errorf("%v", first)
	}
	for _, q := range []string{first["name"].(string), first["phoneNumber"].(string), first["idLast6"].(string)} {
		_, answer := w.call(t, "GET", "/sandbox/v1/people?q="+url.QueryEscape(q), "")
		if found := answer["people"].([]any); len(found) == 0 || len(found) > 20 {
			t.Errorf("%d found for a person's own words", len(found))
		}
	}
	if _, answer := w.call(t, "GET", "/sandbox/v1/people?limit=3", ""); len(answer["people"].([]any)) != 3 {
		t.Error("limit is not kept")
	}
}

func TestClock(t *testing.T) {
	w := open(t, t.TempDir())
	read := func(answer map[string]any) time.Time {
		now, err := time.Parse(time.RFC3339, answer["now"].(string))
		if err != nil || !strings.HasSuffix(answer["now"].(string), "+08:00") {
			t.Fatal(answer, err)
		}
		return now
	}
	_, before := w.call(t, "GET", "/sandbox/v1/clock", "")
	status, after := w.call(t, "POST", "/sandbox/v1/clock", `{"advance":"48h"}`)
	if moved := read(after).Sub(read(before)); status != 200 || moved < 48*time.Hour || moved > 49*time.Hour {
		t.Errorf("%d, moved by %v", status, moved)
	}
}

// What a carrier would do and would not, in the order of a number's life.
func TestLifeOfANumber(t *testing.T) {
	w := open(t, t.TempDir())
	number := w.Sample().PhoneNumber
	path := "/sandbox/v1/numbers/" + number + "/events"
	for _, step := range []struct {
		name, body string
		advance    string
		status     int
	}{
		{"sold while it is held", `{"type":"activated"}`, "", 409},
		{"released while it is held", `{"type":"released"}`, "", 409},
		{"restored while it is held", `{"type":"restored"}`, "", 409},
		{"resumed without being suspended", `{"type":"resumed"}`, "", 409},
		{"suspended", `{"type":"suspended"}`, "", 201},
		{"suspended again", `{"type":"suspended"}`, "", 409},
		{"resumed", `{"type":"resumed"}`, "", 201},
		{"ported", `{"type":"ported","receivingCarrier":"broadnet"}`, "", 201},
		{"ported to where it is", `{"type":"ported","receivingCarrier":"broadnet"}`, "", 409},
		{"transferred", `{"type":"transferred","person":{"name":"Jeanne Dupont","idNumber":"12AB34567"}}`, "", 201},
		{"cancelled", `{"type":"cancelled"}`, "", 201},
		{"cancelled again", `{"type":"cancelled"}`, "", 409},
		{"transferred in the freeze", `{"type":"transferred"}`, "", 409},
		{"restored", `{"type":"restored"}`, "", 201},
		{"cancelled once more", `{"type":"cancelled"}`, "1h", 201},
		{"sold in the freeze", `{"type":"activated"}`, "", 409},
		{"released in the freeze", `{"type":"released"}`, "", 409},
		{"released an hour too early", `{"type":"released"}`, "2159h", 409},
		{"released when it is over", `{"type":"released"}`, "1h", 201},
		{"released twice", `{"type":"released"}`, "", 409},
		{"restored from the shelf", `{"type":"restored"}`, "", 409},
		{"sold", `{"type":"activated","person":{"name":"李雷","idNumber":"11010519491231002X"}}`, "", 201},
	} {
		if step.advance != "" {
			w.call(t, "POST", "/sandbox/v1/clock", `{"advance":"`+step.advance+`"}`)
		}
		status, answer := w.call(t, "POST", path, step.body)
		if status != step.status {
			t.Fatalf("%s: %d %v", step.name, status, answer)
		}
	}
	_, answer := w.call(t, "GET", "/sandbox/v1/people?q="+url.QueryEscape(number), "")
	holder := answer["people"].([]any)[0].(map[string]any)
	if holder["name"] != "李雷" || holder["idLast6"] != "31002X" || holder["carrier"] == "broadnet" {
		t.Errorf("held by %v, and back with the carrier of its block", holder)
	}
	for app, n := range holder["accounts"].(map[string]any) {
		if n.(map[string]any)["accounts"] != 0.0 {
			t.Errorf("%s: a new holder has accounts already", app)
		}
	}
	if status, _ := w.call(t, "POST", "/sandbox/v1/numbers/+8619200000000/events", `{"type":"cancelled"}`); status != 409 {
		t.Error("a number that nobody ever had was cancelled")
	}
	if status, _ := w.call(t, "POST", "/sandbox/v1/numbers/+8619200000000/events", `{"type":"activated"}`); status != 201 {
		t.Error("a fresh number was not sold")
	}
}

// Opened again, the country is as it was left.
func TestReopen(t *testing.T) {
	dir := t.TempDir()
	var number string
	var before, beforeAccounts map[string]any
	var ahead time.Duration
	t.Run("first", func(t *testing.T) {
		w := open(t, dir)
		number = w.Sample().PhoneNumber
		w.call(t, "POST", "/sandbox/v1/clock", `{"advance":"5h"}`)
		w.call(t, "POST", "/sandbox/v1/numbers/"+number+"/events", `{"type":"transferred","person":{"name":"李雷","idNumber":"11010519491231002X"}}`)
		_, answer := w.call(t, "GET", "/sandbox/v1/people?q="+url.QueryEscape(number), "")
		before = answer["people"].([]any)[0].(map[string]any)
		_, beforeAccounts = w.call(t, "GET", "/sandbox/v1/people?limit=5000", "")
		ahead = w.clock.Ahead()
	})
	file, err := os.OpenFile(filepath.Join(dir, "deeds.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = file.WriteString("\n{\"number\":\"+861")
	_ = file.Close()
	w := open(t, dir)
	_, answer := w.call(t, "GET", "/sandbox/v1/people?q="+url.QueryEscape(number), "")
	_, all := w.call(t, "GET", "/sandbox/v1/people?limit=5000", "")
	if got := answer["people"].([]any)[0]; fmt.Sprint(got) != fmt.Sprint(before) || fmt.Sprint(all) != fmt.Sprint(beforeAccounts) {
		t.Errorf("was %v, is %v", before, got)
	}
	if w.clock.Ahead() != ahead {
		t.Errorf("the clock was %v ahead, is %v", ahead, w.clock.Ahead())
	}
	if status, _ := w.call(t, "POST", "/sandbox/v1/numbers/"+number+"/events", `{"type":"cancelled"}`); status != 201 {
		t.Error("a journal with a cut-off line does not go on")
	}
}

var sixDigits = regexp.MustCompile(`\b\d{6}\b`)

// awaitText waits for the handset's n-th text.
func (w *world) awaitText(t *testing.T, number string, n int) map[string]any {
	t.Helper()
	for t.Context().Err() == nil {
		_, answer := w.call(t, "GET", "/sandbox/v1/messages?phoneNumber="+url.QueryEscape(number), "")
		if messages := answer["messages"].([]any); len(messages) >= n {
			return messages[n-1].(map[string]any)
		}
	}
	t.Fatal("no text came")
	return nil
}

func (w *world) logIn(t *testing.T, app, number string, n int) map[string]any {
	t.Helper()
	path := "/sandbox/v1/apps/" + app + "/logins"
	if status, answer := w.call(t, "POST", path, `{"phoneNumber":"`+number+`"}`); status != 202 {
		t.Fatal(status, answer)
	}
	text := w.awaitText(t, number, n)["text"].(string)
	code := sixDigits.FindString(text)
	if status, _ := w.call(t, "POST", path, `{"phoneNumber":"`+number+`","code":"`+wrong(code)+`"}`); status != 403 {
		t.Fatal("a wrong code was taken")
	}
	status, answer := w.call(t, "POST", path, `{"phoneNumber":"`+number+`","code":"`+code+`"}`)
	if status != 200 {
		t.Fatal(status, answer, text)
	}
	if status, _ := w.call(t, "POST", path, `{"phoneNumber":"`+number+`","code":"`+code+`"}`); status != 403 {
		t.Fatal("a used code was taken")
	}
	return answer
}

func wrong(code string) string {
	if code == "111111" {
		return "222222"
	}
	return "111111"
}

// The hole: whoever holds the number opens what somebody before left, at every app, whatever its tables look like.
func TestLogInOpensWhatIsBound(t *testing.T) {
	w := open(t, t.TempDir())
	number := w.Sample().PhoneNumber
	w.call(t, "POST", "/sandbox/v1/numbers/"+number+"/events", `{"type":"transferred"}`)
	_, answer := w.call(t, "GET", "/sandbox/v1/people?q="+url.QueryEscape(number), "")
	accounts := answer["people"].([]any)[0].(map[string]any)["accounts"].(map[string]any)
	for i, app := range []string{"wechat", "qq", "taobao", "jd", "baidu"} {
		counts := accounts[app].(map[string]any)
		had := counts["left"].(float64)+counts["undated"].(float64) > 0
		first := w.logIn(t, app, number, 2*i+1)
		if first["isNew"] == had {
			t.Errorf("%s: %v with %v", app, first, counts)
		}
		again := w.logIn(t, app, number, 2*i+2)
		if again["isNew"] != false || again["account"] != first["account"] {
			t.Errorf("%s: %v, then %v", app, first, again)
		}
		_, answer := w.call(t, "GET", "/sandbox/v1/people?q="+url.QueryEscape(number), "")
		after := answer["people"].([]any)[0].(map[string]any)["accounts"].(map[string]any)[app].(map[string]any)
		if had && fmt.Sprint(after) != fmt.Sprint(counts) {
			t.Errorf("%s: a stranger's log-in made %v of %v", app, after, counts)
		}
		if !had && after["accounts"].(float64)+after["undated"].(float64) != 1 {
			t.Errorf("%s: a new account counts as %v", app, after)
		}
	}
	m := w.awaitText(t, number, 1)
	if !strings.HasPrefix(m["text"].(string), "【") || m["to"] != number || m["from"] == "10699000" {
		t.Errorf("%v", m)
	}
}

func TestLogInCodeIsBounded(t *testing.T) {
	w := open(t, t.TempDir())
	number, path := w.Sample().PhoneNumber, "/sandbox/v1/apps/weibo/logins"
	code := func(n int) string {
		w.call(t, "POST", path, `{"phoneNumber":"`+number+`"}`)
		return sixDigits.FindString(w.awaitText(t, number, n)["text"].(string))
	}
	try := func(code string) int {
		status, _ := w.call(t, "POST", path, `{"phoneNumber":"`+number+`","code":"`+code+`"}`)
		return status
	}
	late := code(1)
	w.call(t, "POST", "/sandbox/v1/clock", `{"advance":"5m"}`)
	if try(late) != 403 {
		t.Error("a code was taken after five minutes")
	}
	guessed := code(2)
	for range 5 {
		try(wrong(guessed))
	}
	if try(guessed) != 403 {
		t.Error("a code was taken at the sixth try")
	}
	older := code(3)
	if newer := code(4); older != newer && try(older) != 403 {
		t.Error("a replaced code was taken")
	}
}

func TestCredentials(t *testing.T) {
	w := open(t, t.TempDir())
	_, answer := w.call(t, "GET", "/sandbox/v1/credentials", "")
	roles := map[string]int{}
	for _, c := range answer["clients"].([]any) {
		client := c.(map[string]any)
		roles[client["role"].(string)]++
		if len(client["secret"].(string)) < 32 || len(client["scopes"].([]any)) == 0 {
			t.Errorf("%v", client)
		}
	}
	if fmt.Sprint(roles) != "map[app:16 carrier:4 channel:1 checker:1]" {
		t.Error(roles)
	}
}

func TestHandsetWritesToTheShortCode(t *testing.T) {
	w := open(t, t.TempDir())
	number := w.Sample().PhoneNumber
	if status, answer := w.call(t, "POST", "/sandbox/v1/messages", `{"from":"`+number+`","text":"查询"}`); status != 202 || answer["to"] != "10699000" {
		t.Error(status, answer)
	}
	w.call(t, "POST", "/sandbox/v1/numbers/"+number+"/events", `{"type":"suspended"}`)
	if status, _ := w.call(t, "POST", "/sandbox/v1/messages", `{"from":"`+number+`","text":"查询"}`); status != 404 {
		t.Error("a suspended number sent a text")
	}
}
