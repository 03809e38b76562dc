package api_test

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"untether/internal/search"
)

func TestSearchFromCodeToReply(t *testing.T) {
	w := newWorld(t)
	b := w.begin("alipay", "wechat")
	if b.Status != "collecting" || !b.Deadline.Equal(b.RequestedAt.Add(48*time.Hour)) || strings.Join(b.Apps, " ") != "alipay wechat" {
		t.Fatalf("started %+v", b)
	}
	for app, counts := range map[string][3]int{"alipay": {2, 1, 0}, "wechat": {0, 0, 3}} {
		tasks := w.lease(app)
		if len(tasks) != 1 || tasks[0].Subject.PhoneNumber != held || tasks[0].Kind != "count" || tasks[0].TenureStart.Unix() != w.network.start.Unix() ||
			!tasks[0].Deadline.Truncate(time.Millisecond).Equal(b.Deadline) {
			t.Fatalf("%s leased %+v", app, tasks)
		}
		if again := w.lease(app); len(again) != 0 {
			t.Errorf("%s got the same task twice within its lease", app)
		}
		for range 2 { // a repetition is accepted and counts once
			if r := w.answer(app, count(tasks[0].ID, counts[0], counts[1], counts[2])); !r[0].Accepted {
				t.Fatalf("%s: %+v", app, r)
			}
		}
	}
	if r := w.nextTexts(); len(r) != 1 || r[0].To != held || !strings.Contains(r[0].Text, "Alipay 2") {
		t.Errorf("the reply: %d texts, %q", len(r), r[0].Text)
	}
	s := w.read(b)
	if s.Status != "replied" || s.RepliedAt == nil || s.Apps[0].Status != "answered" || *s.Apps[0].Accounts != 2 || *s.Apps[0].Left != 1 || *s.Apps[1].Undated != 3 {
		t.Errorf("read %+v", s)
	}
}

func TestOneSearchIsShared(t *testing.T) {
	w := newWorld(t)
	id, digits := w.code(held)
	var first, again, shared begun
	w.start(id, digits, lastSix).is(201, "").into(&first)
	if len(first.Apps) != 16 {
		t.Errorf("%d apps are asked when none is named", len(first.Apps))
	}
	w.start(id, digits, "000000").is(201, "").into(&again) // a replay needs the code only
	if again.ID != first.ID || again.AccessToken != first.AccessToken {
		t.Error("the replay is another search")
	}
	w.clock.Advance(2 * time.Minute)
	id, digits = w.code(held)
	w.start(id, digits, lastSix, "qq").is(201, "").into(&shared)
	if shared.ID != first.ID {
		t.Error("a second search was begun while one ran")
	}
	w.clock.Advance(search.ReplyWithin)
	w.forget()
	if text := w.nextTexts()[0].Text; !strings.Contains(text, "No answer: WeChat, ") || strings.Contains(text, "No accounts found.") {
		t.Errorf("the reply does not name who did not answer: %q", text)
	}
	for _, app := range w.read(first).Apps {
		if app.Status != "pending" || app.Accounts != nil {
			t.Errorf("after the deadline %s is %s", app.App, app.Status)
		}
	}
	late := w.lease("alipay")
	w.answer("alipay", count(late[0].ID, 7, 0, 0))
	for _, app := range w.read(first).Apps {
		if app.App == "alipay" && (app.Status != "late" || *app.Accounts != 7) {
			t.Errorf("a late answer shows as %+v", app)
		}
	}
	w.clock.Advance(search.ReadableFor)
	w.call("GET", "/v1/searches/"+first.ID, "", nil, "Authorization", "Bearer "+first.AccessToken).is(404, "NOT_FOUND")
}

func TestTooSoon(t *testing.T) {
	w := newWorld(t)
	w.begin("alipay")
	w.answer("alipay", count(w.lease("alipay")[0].ID, 0, 0, 0))
	w.nextTexts()
	w.clock.Advance(2 * time.Minute)
	id, digits := w.code(held)
	r := w.start(id, digits, lastSix).is(429, "SEARCH_TOO_SOON")
	if wait := r.Header().Get("Retry-After"); len(wait) != 5 { // a little less than 86,400 seconds
		t.Errorf("Retry-After %q", wait)
	}
	w.clock.Advance(24 * time.Hour)
	w.forget()
	w.begin("alipay")
}

func TestIdentity(t *testing.T) {
	w := newWorld(t)
	id, digits := w.code(held)
	w.network.setDown(true)
	if r := w.start(id, digits, lastSix).is(503, "CARRIER_UNAVAILABLE"); r.Header().Get("Retry-After") != "60" {
		t.Errorf("Retry-After %q", r.Header().Get("Retry-After"))
	}
	w.network.setDown(false)
	w.start(id, digits, "999999").is(403, "IDENTITY_NOT_MATCHED")
	w.start(id, digits, strings.ToLower(lastSix)).is(201, "") // after a carrier's failure and a mismatch the code is still good

	w = newWorld(t)
	id, digits = w.code(held)
	for range 3 {
		w.start(id, digits, "999999").is(403, "IDENTITY_NOT_MATCHED")
	}
	w.start(id, digits, lastSix).is(429, "IDENTITY_LOCKED")

	w = newWorld(t)
	id, digits = w.code("+8613900000001") // beta offers no identity matches here
	w.start(id, digits, lastSix).is(403, "IDENTITY_NOT_MATCHED")
}

// Wrong, expired, used up, replaced and unknown codes cannot be told apart.
func TestOneAnswerForEveryBadCode(t *testing.T) {
	w := newWorld(t)
	replaced, replacedDigits := w.code(held)
	w.clock.Advance(2 * time.Minute)
	expired, expiredDigits := w.code(held)
	bad := map[string]reply{"replaced": w.start(replaced, replacedDigits, lastSix)}
	w.clock.Advance(6 * time.Minute)
	bad["expired"] = w.start(expired, expiredDigits, lastSix)
	id, digits := w.code(held)
	wrong := "000000"
	if digits == wrong {
		wrong = "000001"
	}
	for range 5 {
		bad["wrong"] = w.start(id, wrong, lastSix)
	}
	bad["right, but tried too often"] = w.start(id, digits, lastSix)
	w.clock.Advance(2 * time.Minute)
	used, usedDigits := w.code(held)
	w.start(used, usedDigits, lastSix, "alipay").is(201, "")
	bad["used, with other digits"] = w.start(used, other(usedDigits), lastSix)
	w.clock.Advance(10 * time.Minute)
	bad["used and expired"] = w.start(used, usedDigits, lastSix)
	unknown := w.start("AAAAAAAAAAAAAAAA", "123456", lastSix).is(403, "CODE_NOT_ACCEPTED")
	for name, r := range bad {
		if r.Body.String() != unknown.Body.String() || headers(r) != headers(unknown) || r.Code != unknown.Code {
			t.Errorf("%s: %d %s, unlike an unknown one", name, r.Code, r.Body)
		}
	}
}

func other(digits string) string {
	if digits == "111111" {
		return "222222"
	}
	return "111111"
}

func headers(r reply) string {
	var b strings.Builder
	_ = r.Header().Write(&b)
	return b.String()
}

func TestIdempotencyKey(t *testing.T) {
	w := newWorld(t)
	ask := func(number, key string) string {
		var issued struct{ CodeID string }
		w.call("POST", "/v1/codes", "web", map[string]string{"phoneNumber": number}, "Idempotency-Key", key).is(202, "").into(&issued)
		return issued.CodeID
	}
	first := ask(held, "k1")
	if again := ask(held, "k1"); again != first {
		t.Error("a repetition got another code")
	}
	if elsewhere := ask(frozen, "k1"); elsewhere == first {
		t.Error("a key counts across numbers")
	}
	if n := len(w.nextTexts()); n != 2 {
		t.Errorf("%d texts for two numbers", n)
	}
	w.call("POST", "/v1/codes", "web", map[string]string{"phoneNumber": held}, "Idempotency-Key", "k2").is(429, "TOO_MANY_REQUESTS")
	w.call("POST", "/v1/codes", "web", map[string]string{"phoneNumber": held}, "Idempotency-Key", strings.Repeat("k", 129)).is(400, "INVALID_ARGUMENT")
}

func TestBudgetOfAChannel(t *testing.T) {
	w := newWorld(t)
	w.call("POST", "/v1/codes", "tight", map[string]string{"phoneNumber": held}).is(202, "")
	if r := w.call("POST", "/v1/codes", "tight", map[string]string{"phoneNumber": unknown}).is(429, "TOO_MANY_REQUESTS"); r.Header().Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	w.call("POST", "/v1/codes", "web", map[string]string{"phoneNumber": unknown}).is(202, "") // the refusal spent nothing of the number's
}

func TestNonsenseFromAnApp(t *testing.T) {
	for name, c := range map[string]struct {
		result map[string]any
		code   string
	}{
		"negative":          {count("", -1, 0, 0), "INVALID_ARGUMENT"},
		"too many":          {count("", 0, 10_001, 0), "INVALID_ARGUMENT"},
		"a count missing":   {map[string]any{"outcome": "count", "accounts": 1, "left": 0}, "INVALID_ARGUMENT"},
		"another outcome":   {map[string]any{"outcome": "done"}, "INVALID_ARGUMENT"},
		"as many as can be": {count("", 10_000, 10_000, 10_000), ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			b := w.begin("alipay", "wechat")
			c.result["id"] = w.lease("alipay")[0].ID
			if r := w.answer("alipay", c.result); r[0].Accepted != (c.code == "") || r[0].Code != c.code {
				t.Fatalf("%+v", r)
			}
			want := "answered"
			if c.code != "" {
				want = "failed"
				if r := w.answer("alipay", count(c.result["id"].(string), 1, 0, 0)); !r[0].Accepted {
					t.Errorf("a result for a task that was ended: %+v", r)
				}
			}
			if s := w.read(b); s.Apps[0].Status != want {
				t.Errorf("%+v", s.Apps[0])
			}
		})
	}
}

func TestAnotherAppsTask(t *testing.T) {
	w := newWorld(t)
	b := w.begin("alipay")
	id := w.lease("alipay")[0].ID
	for _, forged := range []string{id, id + "A", "AAAA", "Lg", "AC4A", "_y7_", strings.Repeat("A", 200)} { // "Lg" is ".", "AC4A" NUL.NUL, "_y7_" no UTF-8
		if r := w.answer("wechat", count(forged, 1, 1, 1)); r[0].Accepted || r[0].Code != "NOT_FOUND" {
			t.Errorf("%q: %+v", forged, r)
		}
	}
	if s := w.read(b); s.Apps[0].Status != "pending" {
		t.Errorf("%+v", s)
	}
	mixed := w.answer("alipay", count("nothing", 1, 1, 1), count(id, 1, 0, 0))
	if mixed[0].Accepted || !mixed[1].Accepted {
		t.Errorf("one refused result harmed another: %+v", mixed)
	}
}

func TestEndOfTheTenure(t *testing.T) {
	for name, how := range map[string]func(w *world){
		"cancelled":                              func(w *world) { w.report("alpha", 1, held, "cancelled", w.clock.Now(), "tenureId", "t-1") },
		"cancelled, without saying which tenure": func(w *world) { w.report("alpha", 1, held, "cancelled", w.clock.Now()) },
		"transferred": func(w *world) {
			w.report("alpha", 1, held, "activated", w.network.start, "tenureId", "t-1")
			w.report("alpha", 2, held, "transferred", w.clock.Now(), "tenureId", "t-2")
		},
		"transferred, the first thing ever heard of it": func(w *world) {
			w.report("alpha", 1, held, "transferred", w.clock.Now(), "tenureId", "t-2")
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			b := w.begin("alipay", "wechat")
			id := w.lease("alipay")[0].ID
			how(w)
			s := w.read(b)
			if s.Status != "void" || s.Apps[0].Status != "pending" || s.Apps[0].Accounts != nil {
				t.Errorf("read %+v", s)
			}
			if r := w.answer("alipay", count(id, 1, 0, 0)); r[0].Accepted || r[0].Code != "CONFLICT" {
				t.Errorf("a result for a void search: %+v", r)
			}
			if tasks := w.lease("wechat"); len(tasks) != 0 {
				t.Error("a void task is offered")
			}
			w.clock.Advance(search.ReplyWithin + time.Minute)
			if sent := w.handOver(t.Context()); len(sent) != 0 {
				t.Errorf("a text was sent about a void search: %q", sent[0].Text)
			}
		})
	}
}

// What a carrier reports of the past does not touch what runs now.
func TestHistoryEndsNothing(t *testing.T) {
	w := newWorld(t)
	b := w.begin("alipay")
	year := func(n int) time.Time { return w.network.start.AddDate(-n, 0, 0) }
	w.report("alpha", 1, held, "cancelled", year(1), "tenureId", "t-0")
	if s := w.read(b); s.Status != "void" { // all that is known so far is that nobody holds it
		t.Errorf("%+v", s)
	}
	w.clock.Advance(time.Hour + time.Minute)
	w.forget()
	w = newWorld(t)
	b = w.begin("alipay")
	w.report("alpha", 1, held, "activated", w.network.start, "tenureId", "t-1")
	w.report("alpha", 2, held, "activated", year(2), "tenureId", "t-0")
	w.report("alpha", 3, held, "cancelled", year(1), "tenureId", "t-0")
	if s := w.read(b); s.Status != "collecting" {
		t.Errorf("the past made a search void: %+v", s)
	}
}

func TestWhoMayCall(t *testing.T) {
	w := newWorld(t)
	code := map[string]string{"phoneNumber": held}
	results := map[string]any{"results": []any{count("x", 0, 0, 0)}}
	for _, c := range []struct {
		method, path string
		body         any
		wrong        string
	}{
		{"GET", "/v1/apps", nil, "alipay"},
		{"POST", "/v1/codes", code, "alpha"},
		{"POST", "/v1/searches", map[string]string{"codeId": "x", "code": "123456", "idLast6": lastSix}, "alipay"},
		{"POST", "/app/v1/tasks/lease", map[string]any{}, "web"},
		{"POST", "/app/v1/tasks/results", results, "alpha"},
		{"POST", "/carrier/v1/events", map[string]any{"events": []any{}}, "alipay"},
		{"POST", "/app/v1/tasks/lease", map[string]any{}, "nobody"}, // has the scope, but is no app
		{"POST", "/carrier/v1/events", map[string]any{"events": []any{}}, "nobody"},
	} {
		w.call(c.method, c.path, c.wrong, c.body).is(403, "PERMISSION_DENIED")
		r := w.call(c.method, c.path, "", c.body).is(401, "UNAUTHENTICATED")
		if !strings.HasPrefix(r.Header().Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%s %s: no challenge", c.method, c.path)
		}
		for _, given := range []string{"Bearer x", "Bearer", "Basic " + w.token("web"), w.token("web"), "Bearer  " + "\u00e9"} {
			w.call(c.method, c.path, "", c.body, "Authorization", given).is(401, "UNAUTHENTICATED")
		}
	}
	w.call("GET", "/v1/apps", "web", nil).is(200, "")
	w.clock.Advance(time.Hour)
	w.call("GET", "/v1/apps", "web", nil).is(401, "UNAUTHENTICATED")
	w.forget()
	w.call("GET", "/v1/apps", "web", nil).is(200, "")
}

// The access token of one search reads that one only, and acts nowhere.
func TestAccessTokenOfASearch(t *testing.T) {
	w := newWorld(t)
	b := w.begin("alipay")
	path := "/v1/searches/" + b.ID
	w.call("GET", path, "", nil).is(401, "UNAUTHENTICATED")
	w.call("GET", path, "web", nil).is(404, "NOT_FOUND")
	w.call("GET", "/v1/searches/AAAAAAAAAAAAAAAA", "", nil, "Authorization", "Bearer "+b.AccessToken).is(404, "NOT_FOUND")
	w.call("GET", path, "", nil, "Authorization", "bearer "+b.AccessToken).is(200, "")
	w.call("GET", "/v1/apps", "", nil, "Authorization", "Bearer "+b.AccessToken).is(401, "UNAUTHENTICATED")
}

func TestTokens(t *testing.T) {
	w := newWorld(t)
	good := url.Values{"grant_type": {"client_credentials"}, "scope": {"app"}}
	with := func(name, value string) url.Values {
		form := url.Values{}
		for k, v := range good {
			form[k] = v
		}
		form.Set(name, value)
		return form
	}
	var token struct {
		Scope     string
		ExpiresIn int `json:"expires_in"`
	}
	w.grant("alipay", secret, with("scope", "app  app")).is(200, "").into(&token)
	if token.Scope != "app" || token.ExpiresIn != 3600 {
		t.Errorf("%+v", token)
	}
	w.grant("alipay", secret, with("scope", "")).is(200, "").into(&token)
	if token.Scope != "" {
		t.Errorf("asking for none gave %q", token.Scope)
	}
	w.grant("alipay", "wrong", good).is(401, "UNAUTHENTICATED")
	w.grant("stranger", secret, good).is(401, "UNAUTHENTICATED")
	w.grant("stranger", "", good).is(401, "UNAUTHENTICATED")
	w.grant("", "", with("client_secret", secret)).is(401, "UNAUTHENTICATED")
	w.grant("alipay", secret, with("scope", "app channel")).is(400, "INVALID_SCOPE")
	w.grant("alipay", secret, with("scope", strings.Repeat("app ", 129))).is(400, "INVALID_ARGUMENT")
	w.grant("alipay", secret, with("grant_type", "password")).is(400, "UNSUPPORTED_GRANT_TYPE")
	w.grant("alipay", secret, with("grant_type", "")).is(400, "INVALID_ARGUMENT")
	w.grant("alipay", secret, url.Values{"grant_type": {"client_credentials", "client_credentials"}}).is(400, "INVALID_ARGUMENT")
	w.grant("alipay", secret, with("x", strings.Repeat("x", 5000))).is(413, "PAYLOAD_TOO_LARGE")
	r := httptest.NewRequest("POST", "/oauth2/token", strings.NewReader(good.Encode()))
	r.SetBasicAuth("alipay", url.QueryEscape(secret))
	w.send(r).is(415, "UNSUPPORTED_MEDIA_TYPE")
}

func TestEventsByAPI(t *testing.T) {
	w := newWorld(t)
	now := w.clock.Now().Add(-time.Hour)
	for _, c := range []struct {
		name, carrier string
		sequence      int
		kind          string
		more          []string
		status, code  string
	}{
		{"first", "alpha", 1, "activated", []string{"tenureId", "t-1"}, "applied", ""},
		{"again", "alpha", 1, "activated", []string{"tenureId", "t-1"}, "alreadyApplied", ""},
		{"another one under its number", "alpha", 1, "cancelled", nil, "keptAside", "DOES_NOT_FIT"},
		{"does not fit", "alpha", 2, "activated", []string{"tenureId", "t-2"}, "keptAside", "DOES_NOT_FIT"},
		{"not its number", "beta", 1, "cancelled", nil, "keptAside", "NOT_YOUR_NUMBER"},
		{"helps itself", "beta", 2, "ported", []string{"receivingCarrier", "beta"}, "keptAside", "NOT_YOUR_NUMBER"},
		{"still not its number", "beta", 3, "suspended", nil, "keptAside", "NOT_YOUR_NUMBER"},
		{"cut short", "alpha", 3, "cancelled", nil, "applied", ""},
		{"without a freeze", "alpha", 4, "released", nil, "applied", "FREEZE_CUT_SHORT"},
	} {
		if c.status != "alreadyApplied" { // a repetition has the same instant
			now = now.Add(time.Minute)
		}
		if status, code := w.report(c.carrier, c.sequence, held, c.kind, now, c.more...); status != c.status || code != c.code {
			t.Errorf("%s: %s %s", c.name, status, code)
		}
	}
}
