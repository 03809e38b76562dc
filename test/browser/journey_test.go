package browser

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"untether/internal/words"
)

// askForCode does the first page.
func (v *visitor) askForCode(number string) {
	v.t.Helper()
	v.open("/")
	v.write(v.say("home.number"), number)
	v.submit(v.say("home.send"))
	v.sees(v.say("verify.heading"))
}

// prove does the second page.
func (v *visitor) prove(code, lastSix string) {
	v.t.Helper()
	v.write(v.say("verify.code"), code)
	v.write(v.say("verify.lastSix"), lastSix)
	v.submit(v.say("verify.start"))
}

var sixDigits = regexp.MustCompile(`^[0-9]{6}$`)

// pickUp takes somebody's phone in the handsets pages, as a person would: by looking for the number in the list.
func (v *visitor) pickUp(who citizen) {
	v.t.Helper()
	v.open("/handsets")
	v.tapOn("#q")
	v.do(keys(who.national()))
	v.tapOn(`form[role="search"] button`)
	v.until("one phone", func() (bool, string) { return v.count(".holders .holder") == 1, v.page() })
	v.tapOn(".holders .holder")
	v.until("the phone", func() (bool, string) { return v.count(".phone") == 1, v.page() })
}

// readCode waits for a code that is not an older one on the phone that the visitor holds. Without scripts they load the
// page anew.
func (v *visitor) readCode(older string) (code string) {
	v.t.Helper()
	v.onScreen("a code", func() bool {
		code = peek[string](v, `Array.from(document.querySelectorAll(".bubble b")).map(e => e.textContent).at(-1) || ""`)
		return sixDigits.MatchString(code) && code != older
	})
	return code
}

// onScreen waits for something on the phone's screen.
func (v *visitor) onScreen(what string, there func() bool) {
	v.t.Helper()
	v.until(what, func() (bool, string) {
		if there() {
			return true, ""
		}
		v.refresh()
		return false, v.page()
	})
}

// refresh is what a person without scripts does who waits for news; with scripts the news must come by itself.
func (v *visitor) refresh() {
	v.t.Helper()
	if v.noScript {
		v.do(chromedp.Reload())
	}
}

// slowApps answer only when the test lets them.
var slowApps = []string{"wechat", "alipay", "douyin"}

func TestJourney(t *testing.T) {
	for _, lang := range words.Languages() {
		for name, noScript := range map[string]bool{"with scripts": false, "without scripts": true} {
			t.Run(string(lang)+" "+name, func(t *testing.T) { journey(t, device{language: lang, noScript: noScript}) })
		}
	}
}

func TestJourneyInWeChat(t *testing.T) {
	journey(t, device{language: words.ZhCN, agent: webViewAgent, still: true})
}

// journey is the main job from the first page to the one text, with two devices: the person's screen and the phone that
// the texts come to.
func journey(t *testing.T, d device) {
	c := newCountry(t)
	who := c.who(func(one citizen) bool {
		sum := one.sum()
		return one.Language == string(d.language) && sum.Accounts > 1 && one.Accounts["wechat"].Accounts > 0
	})
	c.behave("down", slowApps...)
	v, handset := visit(t, c.URL(), d), visit(t, c.URL(), d)

	handset.pickUp(who)
	if n := handset.count(".bubble"); n != 0 {
		t.Fatalf("a phone that nobody texted shows %d texts", n)
	}
	v.askForCode(who.national())
	v.seesNot(who.national())
	v.prove(handset.readCode(""), who.IDLast6)

	v.sees(v.say("collecting.heading", "count", 16))
	v.news("thirteen answers", func() bool { return v.text("#progress b") == "13" })
	page := v.pageBorn()
	c.behave("normal", slowApps[1:]...)
	v.news("fifteen answers", func() bool { return v.text("#progress b") == "15" })
	if !d.noScript && v.pageBorn() != page {
		t.Error("the page was loaded anew to show an answer; with scripts it must fill in")
	}
	if v.count("#app-wechat.pending") != 1 {
		t.Error("the app that is down does not look as if it were awaited")
	}
	c.behave("normal", slowApps[0])
	v.news("the result", func() bool { return v.count(".result") == 1 })
	v.resultIs(who)
	handset.replyIs(who)
}

// news waits for something on the page, as it comes or by refreshing.
func (v *visitor) news(what string, there func() bool) { v.t.Helper(); v.onScreen(what, there) }

func (v *visitor) count(selector string) int {
	v.t.Helper()
	return peek[int](v, fmt.Sprintf(`document.querySelectorAll(%q).length`, selector))
}

// resultIs holds the result against what is true.
func (v *visitor) resultIs(who citizen) {
	v.t.Helper()
	sum := who.sum()
	v.sees(v.say("result.heading", "count", sum.Accounts), v.say("next.heading"), v.say("result.own"))
	if got := v.text(".total"); got != fmt.Sprint(sum.Accounts) {
		v.t.Errorf("the result says %s accounts, want %d", got, sum.Accounts)
	}
	own, left, undated, clean := 0, 0, 0, 0
	for _, n := range who.Accounts {
		own += one(n.Accounts > 0)
		left += one(n.Left > 0)
		undated += one(n.Undated > 0)
		clean += one(n.Accounts+n.Left+n.Undated == 0)
	}
	for selector, want := range map[string]int{".rows li": own, ".explain.left .name": left, ".explain.undated .name": undated,
		".explain.silent .name": 0, ".clean .name": clean} {
		if got := v.count(selector); got != want {
			v.t.Errorf("%s: %d apps, want %d", selector, got, want)
		}
	}
}

func one(is bool) int {
	if is {
		return 1
	}
	return 0
}

// replyIs waits for the one text on the phone and holds it against what is true.
func (v *visitor) replyIs(who citizen) {
	v.t.Helper()
	text := ""
	v.onScreen("the reply", func() bool {
		text = plain(peek[string](v, `Array.from(document.querySelectorAll(".bubble")).map(e => e.textContent).slice(1).join(" | ")`))
		return text != ""
	})
	if v.count(".bubble") != 2 || !strings.Contains(text, who.national()[7:]) {
		v.t.Errorf("the phone has %d texts, the last: %s", v.count(".bubble"), text)
	}
	if n := who.Accounts["wechat"].Accounts; !regexp.MustCompile(fmt.Sprintf(`(微信|WeChat ?)%d`, n)).MatchString(text) {
		v.t.Errorf("the reply does not tell of %d accounts at WeChat: %s", n, text)
	}
	if regexp.MustCompile(`https?:|www\.`).MatchString(text) {
		v.t.Errorf("the reply holds a link: %s", text)
	}
}
