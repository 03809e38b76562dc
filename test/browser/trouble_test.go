package browser

import (
	"testing"
	"time"

	"untether/internal/words"
)

// isWrong waits for a problem in the summary, which must have the cursor, and at its field.
func (v *visitor) isWrong(field, text string) {
	v.t.Helper()
	v.sees(text)
	v.until("the cursor on the summary", func() (bool, string) {
		return peek[string](v, `document.readyState + " " + document.activeElement.id`) == "complete problem", v.page()
	})
	if field == "" {
		return
	}
	if got := v.text("#" + field + "-wrong"); got != plain(text) {
		v.t.Errorf("beside %s stands %q, want %q", field, got, text)
	}
	if ask[string](v, `document.getElementById("`+field+`").getAttribute("aria-invalid")`) != "true" {
		v.t.Errorf("%s is not marked as wrong", field)
	}
}

func TestNumberMistyped(t *testing.T) {
	both(t, func(t *testing.T, lang words.Language) {
		c := newCountry(t)
		v := visit(t, c.URL(), device{language: lang})
		v.open("/")
		v.write(v.say("home.number"), "1380013")
		v.tap(v.say("home.send"))
		v.isWrong("phoneNumber", v.say("problem.phoneNumber"))
		if got := ask[string](v, `document.getElementById("phoneNumber").value`); got != "1380013" {
			t.Errorf("what was typed is gone: %q", got)
		}
		v.tapOn("#problem a")
		v.until("the cursor in the field", func() (bool, string) {
			return peek[string](v, `document.activeElement.id`) == "phoneNumber", v.page()
		})
		v.write(v.say("home.number"), c.sample().national())
		v.tap(v.say("home.send"))
		v.sees(v.say("verify.heading"))
	})
}

func TestWrongCode(t *testing.T) {
	both(t, func(t *testing.T, lang words.Language) {
		c := newCountry(t)
		who := c.who(func(one citizen) bool { return one.PhoneNumber != c.sample().PhoneNumber && one.sum().Accounts > 0 })
		v, handset := visit(t, c.URL(), device{language: lang}), visit(t, c.URL(), device{language: lang})
		v.askForCode(who.national())
		handset.pickUp(who)
		code := handset.readCode("")
		v.prove("12a456", who.IDLast6)
		v.isWrong("code", v.say("problem.code"))
		v.prove(other(code), who.IDLast6)
		v.isWrong("code", v.say("problem.CODE_NOT_ACCEPTED"))
		if page := ask[string](v, `document.documentElement.outerHTML`); contains(page, who.IDLast6, other(code)) {
			t.Error("what was typed as code or identity came back")
		}
		v.prove(code, who.IDLast6)
		v.sees(v.say("result.own"))
	})
}

// other is another code.
func other(code string) string {
	first := "1"
	if code[0] == '1' {
		first = "2"
	}
	return first + code[1:]
}

func TestThreeWrongIDsLockTheNumber(t *testing.T) {
	both(t, func(t *testing.T, lang words.Language) {
		c := newCountry(t)
		who := c.sample()
		v, handset := visit(t, c.URL(), device{language: lang}), visit(t, c.URL(), device{language: lang})
		v.askForCode(who.national())
		handset.pickUp(who)
		code := handset.readCode("")
		for range 2 {
			v.prove(code, "000000")
			v.isWrong("idLast6", v.say("problem.IDENTITY_NOT_MATCHED"))
		}
		v.prove(code, "000000")
		v.sees(v.say("problem.heading"))
		v.prove(code, who.IDLast6)
		v.isWrong("", beginning(v.say("problem.IDENTITY_LOCKED", "again", "")))
		c.ahead(25 * time.Hour)
		v.askForCode(who.national())
		v.prove(handset.readCode(code), who.IDLast6)
		v.sees(v.say("result.own"))
	})
}

func TestAnotherCode(t *testing.T) {
	both(t, func(t *testing.T, lang words.Language) {
		c := newCountry(t)
		who := c.sample()
		v, handset := visit(t, c.URL(), device{language: lang, noScript: true}), visit(t, c.URL(), device{language: lang})
		v.askForCode(who.national())
		handset.pickUp(who)
		older := handset.readCode("")
		v.tap(v.say("verify.again"))
		v.isWrong("", beginning(v.say("problem.TOO_MANY_REQUESTS", "again", "")))
		c.ahead(time.Minute)
		v.open("/verify")
		v.tap(v.say("verify.again"))
		v.sees(v.say("verify.heading"))
		newer := handset.readCode(older)
		v.prove(older, who.IDLast6)
		v.isWrong("code", v.say("problem.CODE_NOT_ACCEPTED"))
		v.prove(newer, who.IDLast6)
		v.sees(v.say("result.own"))
	})
}

// TestOfferOfAnotherCodeComesByItself sets the clock ahead while the page waits: the offer is fetched when it is due by the
// page's own clock, which nobody moved, so the page is opened when only a moment is left.
func TestOfferOfAnotherCodeComesByItself(t *testing.T) {
	c := newCountry(t)
	v := visit(t, c.URL(), device{language: words.ZhCN})
	v.askForCode(c.sample().national())
	if n := v.count("#resend button"); n != 0 {
		t.Fatalf("another code is offered at once")
	}
	c.ahead(58 * time.Second)
	v.open("/verify")
	v.sees(v.say("verify.noCode"))
	v.tap(v.say("verify.again"))
	v.sees(v.say("verify.heading"))
}

func TestLanguageSwitchMidWay(t *testing.T) {
	c := newCountry(t)
	who := c.who(func(one citizen) bool { return one.Language == "zh-CN" && one.sum().Accounts > 0 })
	v, handset := visit(t, c.URL(), device{language: words.ZhCN}), visit(t, c.URL(), device{language: words.ZhCN})
	c.behave("down", slowApps...)
	v.askForCode(who.national())
	v.tap(v.say("language.other"))
	v.lang = words.En
	v.sees(v.say("verify.heading"))
	handset.pickUp(who)
	v.prove(handset.readCode(""), who.IDLast6)
	v.sees(v.say("collecting.heading", "count", 16))
	v.tap(v.say("language.other"))
	v.lang = words.ZhCN
	v.sees(v.say("collecting.heading", "count", 16))
	v.tap(v.say("language.other"))
	v.lang = words.En
	c.behave("normal", slowApps...)
	v.sees(v.say("result.own"))
	if got := v.path(); contains(got, "lang=") {
		t.Errorf("the language stays in the address: %s", got)
	}
	handset.sees(words.Say(words.En, "sms.reply.where", "service", "WeChat account Qinghao", "menu", "My searches"))
}

func TestBackButton(t *testing.T) {
	both(t, func(t *testing.T, lang words.Language) {
		c := newCountry(t)
		who := c.sample()
		v, handset := visit(t, c.URL(), device{language: lang}), visit(t, c.URL(), device{language: lang})
		v.askForCode(who.national())
		v.back()
		v.sees(v.say("home.headingEnd"))
		v.forward()
		v.sees(v.say("verify.heading"))
		handset.pickUp(who)
		v.prove(handset.readCode(""), who.IDLast6)
		v.sees(v.say("result.own"))
		here := v.path()
		v.back()
		v.until("the search again, not a form that is done", func() (bool, string) {
			return peek[string](v, `document.readyState == "complete" ? location.pathname : ""`) == here, v.page()
		})
		v.open("/")
		v.tap(v.say("home.last"))
		v.sees(v.say("result.own"))
	})
}

func TestCarrierDown(t *testing.T) {
	both(t, func(t *testing.T, lang words.Language) {
		c := newCountry(t)
		who := c.sample()
		v, handset := visit(t, c.URL(), device{language: lang}), visit(t, c.URL(), device{language: lang})
		v.askForCode(who.national())
		handset.pickUp(who)
		code := handset.readCode("")
		c.carrierDown(who.Carrier, true)
		v.prove(code, who.IDLast6)
		v.isWrong("", beginning(v.say("problem.CARRIER_UNAVAILABLE", "again", "")))
		c.carrierDown(who.Carrier, false)
		v.prove(code, who.IDLast6)
		v.sees(v.say("result.own"))
	})
}

func TestAnotherBrowserSeesNothing(t *testing.T) {
	c := newCountry(t)
	who := c.sample()
	v, handset := visit(t, c.URL(), device{language: words.ZhCN}), visit(t, c.URL(), device{language: words.ZhCN})
	v.askForCode(who.national())
	handset.pickUp(who)
	v.prove(handset.readCode(""), who.IDLast6)
	v.sees(v.say("result.own"))
	handset.open(v.path())
	handset.sees(v.say("problem.NOT_FOUND"))
}

// TestUnsteadyHand presses every button of the way twice.
func TestUnsteadyHand(t *testing.T) {
	both(t, func(t *testing.T, lang words.Language) {
		c := newCountry(t)
		who := c.sample()
		v, handset := visit(t, c.URL(), device{language: lang}), visit(t, c.URL(), device{language: lang})
		v.open("/")
		v.write(v.say("home.number"), who.national())
		v.tapTwice(v.say("home.send"))
		v.sees(v.say("verify.heading"))
		handset.pickUp(who)
		code := handset.readCode("")
		v.write(v.say("verify.code"), code)
		v.write(v.say("verify.lastSix"), who.IDLast6)
		v.tapTwice(v.say("verify.start"))
		v.sees(v.say("result.own"))
		handset.onScreen("the reply", func() bool { return handset.count(".bubble") >= 2 })
		if n := handset.count(".bubble"); n != 2 {
			t.Errorf("%d texts arrived, want the code and the reply", n)
		}
	})
}
