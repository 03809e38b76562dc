package sandbox_test

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// visit fetches a page in a language.
func (w *world) visit(t *testing.T, language, path string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), "GET", w.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept-Language", language)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// submit sends a form and follows to the page behind it.
func (w *world) submit(t *testing.T, path string, form url.Values) (int, string) {
	t.Helper()
	response, err := http.DefaultClient.PostForm(w.url+path, form)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(body)
}

func TestPagesExistInBothLanguages(t *testing.T) {
	w := open(t, t.TempDir())
	s := w.Sample()
	path := "/handsets/" + s.PhoneNumber[1:]
	for _, c := range []struct {
		language, path, holds string
		status                int
	}{
		{"zh-CN", "/handsets", "从这里开始", 200},
		{"en", "/handsets", "Start here", 200},
		{"en", "/handsets/", "Start here", 200},
		{"zh-CN", "/handsets?q=" + url.QueryEscape(s.Name), s.IDLast6, 200},
		{"en", "/handsets?q=nobody+at+all", "Nobody like that", 200},
		{"en", "/handsets?q=%ff", "Start here", 200},
		{"zh-CN", path, s.Name + " 的手机", 200},
		{"en", path, "Phone of " + s.Name, 200},
		{"en", "/handsets/+" + s.PhoneNumber[1:], "What is true", 200},
		{"en", "/handsets/12345678", "Nobody uses this number", 404},
		{"zh-CN", "/handsets/abc", "没有人使用", 404},
		{"en", "/handsets/handsets.css", ".phone", 200},
		{"en", "/handsets/" + s.PhoneNumber[1:] + "/else", "NOT_FOUND", 404},
	} {
		status, body := w.visit(t, c.language, c.path)
		if status != c.status || !strings.Contains(body, c.holds) {
			t.Errorf("%s in %s: %d without %q", c.path, c.language, status, c.holds)
		}
	}
}

var seen = regexp.MustCompile(`/thread\?seen=[0-9-]+`)

// A screen is told when there is something new, and only then.
func TestScreenIsLive(t *testing.T) {
	w := open(t, t.TempDir())
	number := w.Sample().PhoneNumber
	path := "/handsets/" + number[1:]
	_, page := w.visit(t, "zh-CN", path)
	if !strings.Contains(page, "还没有短信") {
		t.Error("a screen that is not empty")
	}
	w.logIn(t, "wechat", number, 1)
	status, fragment := w.visit(t, "zh-CN", path+seen.FindString(page))
	if status != 200 || !strings.Contains(fragment, "【微信】") || !strings.Contains(fragment, "arrives") || strings.Contains(fragment, "<html") {
		t.Fatalf("%d %s", status, fragment)
	}
	status, again := w.visit(t, "zh-CN", path+seen.FindString(fragment))
	if status == 200 { // the minute has just changed, and with it the clock on the screen
		status, _ = w.visit(t, "zh-CN", path+seen.FindString(again))
	}
	if status != 204 {
		t.Errorf("%d with nothing new", status)
	}
	w.call(t, "POST", "/sandbox/v1/clock", `{"advance":"10m"}`)
	if _, later := w.visit(t, "zh-CN", path+seen.FindString(fragment)); strings.Contains(later, "fresh") || strings.Contains(later, "arrives") {
		t.Error("a text of ten minutes ago still counts as new")
	}
}

func TestFormsOfTheHandset(t *testing.T) {
	w := open(t, t.TempDir())
	path := "/handsets/" + w.Sample().PhoneNumber[1:]
	if status, page := w.submit(t, path+"/messages", url.Values{"text": {"CX <b>&"}}); status != 200 || !strings.Contains(page, "CX &lt;b&gt;&amp;") {
		t.Errorf("%d: what was sent is not on the screen as it was", status)
	}
	for _, text := range []string{"", "   ", strings.Repeat("长", 501), "\xff"} {
		if status, page := w.submit(t, path+"/messages", url.Values{"text": {text}}); status != 200 || !strings.Contains(page, "没有发出去") {
			t.Errorf("%.10q: %d", text, status)
		}
	}
	if status, _ := w.submit(t, path+"/messages", url.Values{"text": {strings.Repeat("a", 10_000)}}); status != 413 {
		t.Errorf("a large form: %d", status)
	}
	before := w.clock.Ahead()
	if status, _ := w.submit(t, path+"/clock", url.Values{"advance": {"48h"}}); status != 200 || w.clock.Ahead()-before != 48*3600e9 {
		t.Errorf("%d, the clock is %v ahead", status, w.clock.Ahead())
	}
	if status, _ := w.submit(t, path+"/clock", url.Values{"advance": {"-1h"}}); status != 400 {
		t.Errorf("back in time: %d", status)
	}
	if status, _ := w.submit(t, "/handsets/12345678/clock", url.Values{"advance": {"1h"}}); status != 404 {
		t.Errorf("nobody's phone: %d", status)
	}
	w.call(t, "POST", "/sandbox/v1/numbers/"+w.Sample().PhoneNumber+"/events", `{"type":"cancelled"}`)
	if status, page := w.visit(t, "en", path); status != 200 || !strings.Contains(page, "Nobody uses this number now") {
		t.Errorf("a cancelled number's phone: %d", status)
	}
}
