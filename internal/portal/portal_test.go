package portal

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"untether/internal/catalog"
	"untether/internal/clock"
	"untether/internal/words"
)

// person is a browser without scripts, with its cookies, on a portal that listens on a loopback socket.
type person struct {
	t      *testing.T
	client *http.Client
	base   string
	lang   words.Language
	rules  *memory
	clock  *clock.Movable
	portal *Portal
}

func visit(t *testing.T, lang words.Language, change ...func(*Options)) *person {
	t.Helper()
	c := &clock.Movable{}
	m := &memory{clock: c}
	o := Options{Searches: m, Clock: c, Key: [32]byte{1, 2, 3}}
	for _, f := range change {
		f(&o)
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	jar, _ := cookiejar.New(nil)
	return &person{t, &http.Client{Jar: jar}, server.URL, lang, m, c, p}
}

// page is an answer as it was received.
type page struct {
	status int
	body   string
	path   string // after redirects
	header http.Header
}

func (v *person) do(method, path string, form url.Values, header ...string) page {
	v.t.Helper()
	r, err := http.NewRequest(method, v.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Accept-Language", string(v.lang))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := v.client.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return page{answer.StatusCode, string(body), answer.Request.URL.Path, answer.Header}
}

func (v *person) get(path string) page { v.t.Helper(); return v.do("GET", path, nil) }

func (v *person) post(path string, pairs ...string) page {
	v.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return v.do("POST", path, form)
}

// askForCode and proveIdentity are the first two pages, done right.
func (v *person) askForCode() page {
	v.t.Helper()
	return v.post("/code", "phoneNumber", "１３８ 1234-5678")
}

func (v *person) proveIdentity() page {
	v.t.Helper()
	v.askForCode()
	return v.post("/search", "code", "２４６ 810", "idLast6", "12345x")
}

func (g page) says(t *testing.T, l words.Language, key string, pairs ...any) {
	t.Helper()
	if want := escaped(words.Say(l, key, pairs...)); !strings.Contains(g.body, want) {
		t.Errorf("%s (%d) does not say %q", g.path, g.status, want)
	}
}

var escaped = strings.NewReplacer("'", "&#39;", "&", "&amp;", `"`, "&#34;", "+", "&#43;").Replace

func inBoth(t *testing.T, f func(t *testing.T, l words.Language)) {
	for _, l := range words.Languages() {
		t.Run(string(l), func(t *testing.T) { f(t, l) })
	}
}

func TestWholeJourneyWithoutScripts(t *testing.T) {
	inBoth(t, func(t *testing.T, l words.Language) {
		v := visit(t, l)
		home := v.get("/")
		home.says(t, l, "home.heading")
		home.says(t, l, "home.step3Words", "count", 16)

		code := v.askForCode()
		if code.status != 200 || code.path != "/verify" {
			t.Fatalf("after the number: %d at %s", code.status, code.path)
		}
		code.says(t, l, "verify.heading")
		if !strings.Contains(code.body, "138 **** 5678") || strings.Contains(code.body, "13812345678") {
			t.Error("the second page must show the number masked")
		}
		if len(v.rules.requests) != 1 || v.rules.requests[0].E164() != "+8613812345678" || v.rules.lang != l || v.rules.channel != "portal" {
			t.Errorf("asked for %d codes, language %s, channel %s", len(v.rules.requests), v.rules.lang, v.rules.channel)
		}

		v.rules.report = answers(v.clock.Now(), "collecting", "2.1.............")
		running := v.post("/search", "code", rightCode, "idLast6", rightLast)
		if running.status != 200 || running.path != "/searches/"+theSearch {
			t.Fatalf("after the identity: %d at %s", running.status, running.path)
		}
		running.says(t, l, "collecting.heading", "count", 16)
		running.says(t, l, "collecting.answered", "answered", 2, "all", 16)
		if !strings.Contains(running.body, `<noscript><meta http-equiv="refresh" content="10"></noscript>`) {
			t.Error("a page without scripts must load itself anew")
		}

		v.rules.report = answers(v.clock.Now(), "replied", "21001300.x010110")
		done := v.get(running.path)
		done.says(t, l, "result.heading", "count", 10)
		done.says(t, l, "result.silentHeading", "count", 2)
		if strings.Contains(done.body, "http-equiv") || strings.Contains(done.body, "hx-get") {
			t.Error("a finished page must not ask again")
		}
		v.get("/").says(t, l, "home.last")
	})
}

func TestResultSaysWhatWasFound(t *testing.T) {
	inBoth(t, func(t *testing.T, l words.Language) {
		v := visit(t, l)
		v.rules.report = answers(v.clock.Now(), "replied", "LLU000000000000l")
		done := v.proveIdentity()
		done.says(t, l, "result.heading", "count", 3)
		done.says(t, l, "result.leftHeading", "count", 4)
		done.says(t, l, "result.leftWords")
		done.says(t, l, "result.undatedHeading", "count", 1)
		done.says(t, l, "result.lateChip")
		done.says(t, l, "result.sms", "number", "138 **** 5678", "sender", "10699000")

		v.rules.report = answers(v.clock.Now(), "replied", "0000000000000000")
		v.get(done.path).says(t, l, "result.headingNone")
		v.rules.report = answers(v.clock.Now(), "void", "1111111111111111")
		void := v.get(done.path)
		void.says(t, l, "void.heading")
		if strings.Contains(void.body, "app-wechat") {
			t.Error("a void search shows no app's answer")
		}
	})
}

func TestResultDoesNotWaitForTheText(t *testing.T) {
	v := visit(t, words.En)
	v.rules.report = answers(v.clock.Now(), "collecting", "x000000000000002")
	done := v.proveIdentity()
	done.says(t, words.En, "result.heading", "count", 2)

	v.rules.report = answers(v.clock.Now(), "collecting", "...............2")
	v.get(done.path).says(t, words.En, "collecting.heading", "count", 16)
	v.clock.Advance(48 * time.Hour)
	v.get(done.path).says(t, words.En, "result.silentHeading", "count", 15)
}

func TestAnAppThatLeftTheCatalogueIsStillShown(t *testing.T) {
	v := visit(t, words.En)
	v.rules.report = answers(v.clock.Now(), "replied", "0000000000000000")
	v.rules.report.Apps[0].App, v.rules.report.Apps[0].Accounts = "gone", 3
	if done := v.proveIdentity(); !strings.Contains(done.body, "<b>gone</b>") {
		t.Error("its accounts vanished with its name")
	}
}

func TestProgressIsSentOnlyWhenItChanged(t *testing.T) {
	v := visit(t, words.ZhCN)
	v.rules.report = answers(v.clock.Now(), "collecting", "................")
	running := v.proveIdentity()
	poll := strings.ReplaceAll(regexp.MustCompile(`hx-get="([^"]+)"`).FindStringSubmatch(running.body)[1], "&amp;", "&")
	if same := v.get(poll); same.status != http.StatusNoContent {
		t.Errorf("nothing changed: %d", same.status)
	}
	v.rules.report = answers(v.clock.Now(), "collecting", "3...............")
	changed := v.get(poll)
	if changed.status != 200 || strings.Contains(changed.body, "<html") || !strings.Contains(changed.body, `id="app-wechat"`) {
		t.Errorf("an answer came: %d %s", changed.status, changed.body)
	}
	changed.says(t, words.ZhCN, "collecting.answered", "answered", 1, "all", 16)
	v.rules.report.Status = "replied"
	if done := v.get(poll); done.header.Get("HX-Refresh") != "true" {
		t.Error("the end must load the whole page")
	}
}

func TestPollingSlowsDown(t *testing.T) {
	last := 0
	for _, since := range []time.Duration{0, time.Minute, 10 * time.Minute, 2 * time.Hour} {
		if got := pollSeconds(since); got <= last {
			t.Errorf("after %v: every %d s, not slower than before", since, got)
		} else {
			last = got
		}
	}
}

func TestSendAgain(t *testing.T) {
	v := visit(t, words.En)
	first := v.askForCode()
	if !strings.Contains(first.body, `hx-trigger="load delay:60s"`) || !strings.Contains(first.body, "in 60 seconds") {
		t.Error("the page must say how long to wait")
	}
	v.clock.Advance(61 * time.Second)
	part := v.get("/verify/again")
	if strings.Contains(part.body, "<html") || !strings.Contains(part.body, "<button") {
		t.Errorf("the offer: %s", part.body)
	}
	if again := v.post("/code/again"); again.path != "/verify" || len(v.rules.requests) != 2 {
		t.Errorf("%s, %d codes", again.path, len(v.rules.requests))
	}
	v.clock.Advance(6 * time.Minute)
	v.get("/verify").says(t, words.En, "verify.expired")
	v.clock.Advance(time.Hour)
	if stale := v.get("/verify"); stale.status != http.StatusConflict {
		t.Errorf("an hour later: %d", stale.status)
	}
}

func TestLanguageSwitch(t *testing.T) {
	v := visit(t, words.ZhCN)
	v.askForCode()
	chosen := v.get("/verify?lang=en")
	if chosen.path != "/verify" {
		t.Errorf("led to %s", chosen.path)
	}
	chosen.says(t, words.En, "verify.heading")
	v.get("/").says(t, words.En, "home.heading")
	v.get("/?lang=fr").says(t, words.En, "home.heading")
	v.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, path := range []string{"//elsewhere.example/?lang=en", "/%5celsewhere.example?lang=en"} {
		if to := v.get(path).header.Get("Location"); strings.HasPrefix(to, "//") || strings.Contains(to, `\`) {
			t.Errorf("%s leads to %q", path, to)
		}
	}
}

func TestOptions(t *testing.T) {
	key := [32]byte{1}
	for name, o := range map[string]Options{
		"no rules": {Clock: clock.System{}, Key: key},
		"no clock": {Searches: &memory{}, Key: key},
		"no key":   {Searches: &memory{}, Clock: clock.System{}},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestBrandAndNotice(t *testing.T) {
	v := visit(t, words.En, func(o *Options) {
		o.Brand = catalog.Text{ZhCN: "某某服务", En: "Some Service"}
		o.Notice = &Notice{
			Text:   catalog.Text{ZhCN: "演示", En: "A demonstration <country>"},
			Links:  []NoticeLink{{catalog.Text{ZhCN: "手机", En: "Handsets"}, "/handsets"}},
			Sample: &Sample{"Wang Min", "13812345678", "12345X"},
		}
	})
	home := v.get("/")
	for _, want := range []string{"· Some Service · Untether</title>", "A demonstration &lt;country&gt;", `<a href="/handsets">Handsets</a>`, "Wang Min", "12345X"} {
		if !strings.Contains(home.body, want) {
			t.Errorf("home lacks %q", want)
		}
	}
}

func TestWritePage(t *testing.T) {
	v := visit(t, words.En)
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/handsets?q=a&lang=en", nil)
	v.portal.WritePage(w, r, 200, Page{Title: "Handsets", Body: "<p>Hello</p>", Stylesheets: []string{"/handsets.css"}})
	for _, want := range []string{"<title>Handsets · Untether</title>", "<p>Hello</p>", `href="/handsets.css"`, `href="/handsets?q=a&amp;lang=zh-CN"`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if w.Header().Get("Content-Security-Policy") == "" {
		t.Error("no policy")
	}
}

var pressInPage = regexp.MustCompile(`name="press" value="([A-Z2-7]{26})"`)

func TestAButtonPressedTwiceIsOnePress(t *testing.T) {
	v := visit(t, words.ZhCN)
	one, other := pressInPage.FindStringSubmatch(v.get("/").body), pressInPage.FindStringSubmatch(v.get("/").body)
	if one == nil || other == nil || one[1] == other[1] {
		t.Fatalf("two pages name the presses %q and %q, want two", one, other)
	}
	for _, press := range []string{one[1], one[1], other[1], "", "made up", strings.Repeat("A", 4000)} {
		v.post("/code", "phoneNumber", "13812345678", "press", press)
	}
	if want := []string{one[1], one[1], other[1], "", "", ""}; !slices.Equal(v.rules.presses, want) {
		t.Errorf("the rules heard of the presses %q, want %q", v.rules.presses, want)
	}
	v.rules.presses = nil
	v.post("/code/again")
	v.post("/code/again")
	if got := v.rules.presses; len(got) != 2 || got[0] == "" || got[0] != got[1] {
		t.Errorf("asked again twice for one code, the rules heard of the presses %q", got)
	}
}

func TestAStepThatIsDoneLeadsToItsSearch(t *testing.T) {
	v := visit(t, words.ZhCN)
	v.rules.report = answers(v.clock.Now(), "collecting", "2...............")
	v.proveIdentity()
	for _, again := range []func() page{
		func() page { return v.post("/search", "code", rightCode, "idLast6", rightLast) },
		func() page { return v.get("/verify") },
		func() page { return v.post("/code/again") },
	} {
		if got := again(); got.status != 200 || got.path != "/searches/"+theSearch {
			t.Errorf("%d at %s, want the search", got.status, got.path)
		}
	}
	if len(v.rules.started) != 1 || len(v.rules.requests) != 1 {
		t.Errorf("%d searches and %d codes, want one each", len(v.rules.started), len(v.rules.requests))
	}
	if got := v.askForCode(); got.path != "/verify" {
		t.Errorf("another number leads to %s", got.path)
	}
}
