package portal

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"untether/internal/clock"
	"untether/internal/fault"
	"untether/internal/words"
)

var inline = regexp.MustCompile(`(?i)<script>|<script [^>]*>[^<]|<style|\sstyle=|\son[a-z]+=|javascript:|hx-on|(?:src|href|action)="(?:https?:)?//`)

func TestNoPageHasInlineCodeOrLoadsFromElsewhere(t *testing.T) {
	inBoth(t, func(t *testing.T, l words.Language) {
		v := visit(t, l)
		v.rules.report = answers(v.clock.Now(), "collecting", "LU1x............")
		pages := []page{v.get("/"), v.post("/code", "phoneNumber", "x"), v.askForCode(), v.proveIdentity(), v.get("/nothing")}
		v.rules.report = answers(v.clock.Now(), "replied", "LU1x....l.......")
		pages = append(pages, v.get("/searches/"+theSearch))
		for _, g := range pages {
			if found := inline.FindString(g.body); found != "" {
				t.Errorf("%s has %q", g.path, found)
			}
			if !strings.Contains(g.body, fmt.Sprintf(`<html lang="%s">`, l)) || g.header.Get("Content-Language") != string(l) {
				t.Errorf("%s does not say its language", g.path)
			}
			ids := map[string]bool{}
			for _, m := range regexp.MustCompile(` id="([^"]+)"`).FindAllStringSubmatch(g.body, -1) {
				if ids[m[1]] {
					t.Errorf("%s has %q twice", g.path, m[1])
				}
				ids[m[1]] = true
			}
			if n := strings.Count(g.body, "<h1"); n != 1 {
				t.Errorf("%s has %d first headings", g.path, n)
			}
			if key := regexp.MustCompile(`>[a-z]+(\.[A-Za-z]+)+<`).FindString(g.body); key != "" {
				t.Errorf("%s shows a key instead of a text: %s", g.path, key)
			}
		}
	})
}

func TestEveryAnswerHasTheHeaders(t *testing.T) {
	v := visit(t, words.En)
	want := map[string]string{
		"Content-Security-Policy": "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'none'",
		"Referrer-Policy":         "same-origin",
		"X-Content-Type-Options":  "nosniff",
		"Cache-Control":           "no-store",
	}
	for _, g := range []page{v.get("/"), v.get("/nothing"), v.post("/code"), v.do("DELETE", "/", nil), v.get("/searches/x"), v.get("/static/none.css")} {
		for name, value := range want {
			if got := g.header.Get(name); got != value {
				t.Errorf("%s (%d): %s = %q", g.path, g.status, name, got)
			}
		}
	}
}

func TestStaticFiles(t *testing.T) {
	v := visit(t, words.En)
	home := v.get("/")
	found := regexp.MustCompile(`(?:href|src)="(/static/[^"]+)"`).FindAllStringSubmatch(home.body, -1)
	if len(found) != 3 {
		t.Fatalf("%d static files", len(found))
	}
	for _, m := range found {
		file := v.get(m[1])
		if file.status != 200 || file.body == "" || !strings.Contains(file.header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d, %s", m[1], file.status, file.header.Get("Cache-Control"))
		}
		if strings.HasSuffix(m[1], ".css") && (!strings.Contains(file.body, ".app-wechat{--badge:#2c6e49}") || strings.Contains(file.body, "url(")) {
			t.Error("the stylesheet lacks the apps' colours, or loads something")
		}
	}
}

func TestCookies(t *testing.T) {
	for _, secure := range []bool{false, true} {
		v := visit(t, words.En, func(o *Options) { o.SecureCookies = secure })
		seal := v.portal.seal.close(step{CodeID: "code-1", Number: "+8613812345678", SentAt: v.clock.Now().Unix(), ExpiresAt: v.clock.Now().Add(time.Minute).Unix()})
		set := map[string]*http.Cookie{}
		for path, form := range map[string]string{"/code": "phoneNumber=13812345678", "/search": "code=246810&idLast6=12345X"} {
			r := httptest.NewRequest("POST", path, strings.NewReader(form))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.AddCookie(&http.Cookie{Name: stepCookie, Value: seal})
			w := httptest.NewRecorder()
			v.portal.ServeHTTP(w, r)
			for _, c := range w.Result().Cookies() {
				if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Secure != secure || c.Domain != "" {
					t.Errorf("%s: %s", path, c)
				}
				if c.MaxAge > 0 {
					set[c.Name] = c
				}
			}
		}
		if c := set[tokenCookie]; c == nil || c.Path != "/searches/"+theSearch || c.Value != rightToken || c.MaxAge != 7*24*60*60 {
			t.Errorf("the token's cookie: %v", c)
		}
		if c := set[stepCookie]; c == nil || strings.Contains(c.Value, "138") || c.MaxAge > 30*60 {
			t.Errorf("the step's cookie: %v", c)
		}
	}
}

func TestStepCannotBeMadeUp(t *testing.T) {
	v := visit(t, words.En)
	good := v.portal.seal.close(step{CodeID: "code-1", Number: "+8613812345678"})
	flipped := []byte(good)
	flipped[len(flipped)/2] ^= 1
	other := newSealer([32]byte{9})
	for name, value := range map[string]string{
		"nothing": "", "not base64": "%%%", "short": "AAAA", "one bit changed": string(flipped),
		"another key": other.close(step{CodeID: "code-1"}), "endless": strings.Repeat("A", 5000),
	} {
		if _, ok := v.portal.seal.open(value); ok {
			t.Errorf("%s: opened", name)
		}
	}
	if s, ok := v.portal.seal.open(good); !ok || s.CodeID != "code-1" {
		t.Error("a good one was refused")
	}
}

func TestOtherSitesFormsAreRefused(t *testing.T) {
	form := url.Values{"phoneNumber": {"13812345678"}}
	cases := []struct {
		name   string
		header []string
		status int
	}{
		{"another site", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"a sister host", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"an old browser, another origin", []string{"Origin", "https://elsewhere.example"}, 403},
		{"an old browser, no origin to speak of", []string{"Origin", "null"}, 403},
		{"our own page", []string{"Sec-Fetch-Site", "same-origin"}, 200},
		{"no browser", nil, 200},
	}
	for _, c := range cases {
		v := visit(t, words.En)
		g := v.do("POST", "/code", form, c.header...)
		if g.status != c.status || (g.status == 403) == (len(v.rules.requests) > 0) {
			t.Errorf("%s: %d, %d codes", c.name, g.status, len(v.rules.requests))
		}
	}
}

func TestAddressesThatAreNotThere(t *testing.T) {
	inBoth(t, func(t *testing.T, l words.Language) {
		v := visit(t, l)
		cases := []struct {
			method, path string
			status       int
			key          string
		}{
			{"GET", "/nothing", 404, "problem.NO_PAGE"},
			{"GET", "/searches/", 404, "problem.NO_PAGE"},
			{"DELETE", "/", 405, "problem.METHOD_NOT_ALLOWED"},
			{"PUT", "/code", 405, "problem.METHOD_NOT_ALLOWED"},
			{"POST", "/verify", 405, "problem.METHOD_NOT_ALLOWED"},
			{"GET", "/searches/s-1", 404, "problem.NOT_FOUND"},
			{"GET", "/searches/" + strings.Repeat("x", 65), 404, "problem.NOT_FOUND"},
			{"GET", "/searches/%00", 404, "problem.NOT_FOUND"},
			{"GET", "/verify", 409, "problem.STEP_LOST"},
			{"POST", "/code/again", 409, "problem.STEP_LOST"},
			{"POST", "/search", 409, "problem.STEP_LOST"},
			{"GET", "/code", 200, "home.heading"},
		}
		for _, c := range cases {
			g := v.do(c.method, c.path, nil)
			if g.status != c.status {
				t.Errorf("%s %s: %d, want %d", c.method, c.path, g.status, c.status)
			}
			g.says(t, l, c.key)
			if g.status == 405 && g.header.Get("Allow") == "" {
				t.Errorf("%s %s does not say what is allowed", c.method, c.path)
			}
		}
	})
}

func TestBadInput(t *testing.T) {
	long := strings.Repeat("9", 20_000)
	numbers := map[string]string{"empty": "", "spaces": "   ", "letters": "abc", "short": "1381234567", "script": "<script>alert(1)</script>", "broken": "138\xff", "a fixed line": "01062551234"}
	for name, in := range numbers {
		v := visit(t, words.En)
		g := v.post("/code", "phoneNumber", in)
		if g.status != 400 || len(v.rules.requests) != 0 || strings.Contains(g.body, "<script>alert") {
			t.Errorf("number, %s: %d, %d codes", name, g.status, len(v.rules.requests))
		}
		g.says(t, words.En, "problem.phoneNumber")
	}
	identities := []struct{ name, code, last, key string }{
		{"no code", "", rightLast, "problem.code"},
		{"five digits", "12345", rightLast, "problem.code"},
		{"seven digits", "1234567", rightLast, "problem.code"},
		{"letters for a code", "abcdef", rightLast, "problem.code"},
		{"an endless code", strings.Repeat("1", 500), rightLast, "problem.code"},
		{"no ID", rightCode, "", "problem.idLast6"},
		{"five of the ID", rightCode, "12345", "problem.idLast6"},
		{"a whole ID", rightCode, "110101199003070000", "problem.idLast6"},
		{"signs for an ID", rightCode, "12-45;", "problem.idLast6"},
	}
	for _, c := range identities {
		v := visit(t, words.ZhCN)
		v.askForCode()
		g := v.post("/search", "code", c.code, "idLast6", c.last)
		if g.status != 400 || len(v.rules.started) != 0 {
			t.Errorf("%s: %d, %d searches", c.name, g.status, len(v.rules.started))
		}
		g.says(t, words.ZhCN, c.key)
	}
	v := visit(t, words.En)
	if g := v.post("/code", "phoneNumber", long); g.status != 400 {
		t.Errorf("an endless form: %d", g.status)
	}
}

func TestFormsKeepTheNumberButNeverTheProof(t *testing.T) {
	v := visit(t, words.En)
	g := v.post("/code", "phoneNumber", `138 "1234`)
	if !strings.Contains(g.body, `value="138 &#34;1234"`) || !strings.Contains(g.body, `aria-invalid="true"`) || !strings.Contains(g.body, `href="#phoneNumber"`) {
		t.Error("the number must stay in its field, marked, with a link to it")
	}
	v.askForCode()
	for _, try := range [][2]string{{"135791", "98765X"}, {rightCode, "98765X"}, {"135791", "9876"}} {
		g := v.post("/search", "code", try[0], "idLast6", try[1])
		if g.status < 400 || strings.Contains(g.body, try[0]) || strings.Contains(g.body, try[1]) {
			t.Errorf("%v: %d, and the page repeats it", try, g.status)
		}
	}
}

func TestErrorsInPeoplesWords(t *testing.T) {
	cases := []struct {
		err    *fault.Error
		status int
		says   map[words.Language]string
	}{
		{fault.New(fault.Forbidden, "CODE_NOT_ACCEPTED", ""), 403, map[words.Language]string{"zh-CN": "验证码不对", "en": "The code is wrong"}},
		{fault.New(fault.Forbidden, "IDENTITY_NOT_MATCHED", ""), 403, map[words.Language]string{"zh-CN": "验证码仍然有效", "en": "still good"}},
		{fault.New(fault.TooMany, "IDENTITY_LOCKED", "").After(24 * time.Hour), 429, map[words.Language]string{"zh-CN": "之后再试", "en": "try again after"}},
		{fault.New(fault.Unavailable, "CARRIER_UNAVAILABLE", "").After(90 * time.Second), 503, map[words.Language]string{"zh-CN": "请在 90 秒后再试", "en": "in 90 seconds"}},
		{fault.New(fault.TooMany, "TOO_MANY_REQUESTS", "").After(3*time.Minute - time.Second), 429, map[words.Language]string{"zh-CN": "请在 3 分钟后再试", "en": "in 3 minutes"}},
		{fault.New(fault.TooMany, "SEARCH_TOO_SOON", ""), 429, map[words.Language]string{"zh-CN": "24 小时内已经查过", "en": "already searched"}},
		{fault.New(fault.Invalid, "INVALID_ARGUMENT", ""), 400, map[words.Language]string{"zh-CN": "读不懂", "en": "cannot be read"}},
		{fault.New(fault.TooMany, "A_CODE_OF_TOMORROW", ""), 429, map[words.Language]string{"zh-CN": "太频繁", "en": "Too many requests"}},
		{fault.New(fault.Conflict, "ANOTHER_OF_TOMORROW", ""), 409, map[words.Language]string{"zh-CN": "不是您的错", "en": "on our side"}},
		{fault.Of(errors.New("secret cause")), 500, map[words.Language]string{"zh-CN": "不是您的错", "en": "not your fault"}},
	}
	inBoth(t, func(t *testing.T, l words.Language) {
		for _, c := range cases {
			v := visit(t, l)
			v.rules.codeErr = c.err
			asked := v.askForCode()
			v.rules.codeErr = nil
			v.askForCode()
			v.rules.startErr = c.err
			started := v.post("/search", "code", rightCode, "idLast6", rightLast)
			for _, g := range []page{asked, started} {
				if g.status != c.status || !strings.Contains(g.body, escaped(c.says[l])) || strings.Contains(g.body, "secret") {
					t.Errorf("%s at %s: %d, does not say %q", c.err.Code, g.path, g.status, c.says[l])
				}
				if (g.header.Get("Retry-After") != "") != (c.err.RetryAfter > 0) {
					t.Errorf("%s: Retry-After %q", c.err.Code, g.header.Get("Retry-After"))
				}
				if !strings.Contains(g.body, "<title>"+strings.SplitN(words.Say(l, "title.problem", "title", "|"), "|", 2)[0]) {
					t.Errorf("%s at %s: the title does not say that something is wrong", c.err.Code, g.path)
				}
			}
		}
	})
}

func TestEveryToldCodeHasWords(t *testing.T) {
	for code := range told {
		if !words.Has("problem." + code) {
			t.Errorf("%s has no words", code)
		}
	}
}

func TestLostSearch(t *testing.T) {
	v := visit(t, words.En)
	v.rules.report = answers(v.clock.Now(), "replied", "0000000000000000")
	path := v.proveIdentity().path
	v.rules.readErr = fault.New(fault.Unavailable, "STORE_DOWN", "").After(time.Minute)
	if g := v.get(path); g.status != 503 || g.header.Get("Retry-After") != "60" {
		t.Errorf("storage down: %d", g.status)
	}
	v.rules.readErr = errNotFound
	if g := v.get(path + "/progress"); g.status != 404 || g.header.Get("HX-Refresh") != "true" {
		t.Errorf("progress of a lost search: %d", g.status)
	}
	v.get(path).says(t, words.En, "problem.NOT_FOUND")
	if strings.Contains(v.get("/").body, path) {
		t.Error("the first page still leads to a search that is gone")
	}
}

func TestNothingPersonalIsLogged(t *testing.T) {
	var log strings.Builder
	v := visit(t, words.En, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	v.askForCode()
	v.rules.startErr = fault.Of(errors.New("the disk is full"))
	v.post("/search", "code", rightCode, "idLast6", rightLast)
	if !strings.Contains(log.String(), "the disk is full") {
		t.Error("our own failure was not logged")
	}
	for _, secret := range []string{"12345678", rightCode, rightLast, "code-1"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log holds %s", secret)
		}
	}
}

func FuzzForms(f *testing.F) {
	f.Add("/code", "phoneNumber=13812345678")
	f.Add("/search", "code=246810&idLast6=12345X")
	f.Add("/code", "phoneNumber=%ff%00&phoneNumber=2;&%")
	m := &memory{clock: clock.System{}}
	p, err := New(Options{Searches: m, Clock: m.clock, Key: [32]byte{1}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path, body string) {
		if path != "/code" && path != "/search" && path != "/code/again" {
			path = "/code"
		}
		r := httptest.NewRequest("POST", path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.AddCookie(&http.Cookie{Name: stepCookie, Value: p.seal.close(step{CodeID: "code-1", Number: "+8613812345678", SentAt: m.clock.Now().Unix()})})
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%d for %q", w.Code, body)
		}
	})
}
