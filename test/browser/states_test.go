package browser

import (
	"testing"
	"time"
)

// everyState leads a visitor through every page and state there is, and stops at each.
func everyState(t *testing.T, c *country, v *visitor, stop func(name string)) {
	t.Helper()
	who := c.sample()
	v.open("/handsets")
	stop("handsets")
	v.open("/handsets?q=1380013800138")
	stop("handsets-none")
	v.open("/")
	stop("start")
	v.write(v.say("home.number"), "1380013")
	v.tap(v.say("home.send"))
	v.sees(v.say("problem.phoneNumber"))
	stop("start-wrong")
	v.pickUp(who)
	stop("handset-empty")
	v.askForCode(who.national())
	stop("verify")
	v.prove("12", who.IDLast6)
	v.sees(v.say("problem.code"))
	stop("verify-wrong")
	v.pickUp(who)
	code := v.readCode("")
	stop("handset-code")
	c.behave("down", "alipay", "wechat", "toutiao", "weibo", "douyin")
	c.behave("garbage", "xianyu")
	v.open("/verify")
	v.prove(code, who.IDLast6)
	v.sees(v.say("collecting.heading", "count", 16))
	v.until("eleven answers", func() (bool, string) { return v.text("#progress b") == "10", v.page() })
	stop("progress")
	here := v.path()
	c.behave("normal", "alipay", "wechat", "douyin")
	v.until("thirteen answers", func() (bool, string) { return v.text("#progress b") == "13", v.page() })
	c.ahead(48 * time.Hour)
	v.until("the result", func() (bool, string) { v.open(here); return v.text(".total") != "", v.page() })
	stop("result")
	v.pickUp(who)
	v.until("the reply", func() (bool, string) {
		return ask[int](v, `document.querySelectorAll(".bubble").length`) >= 2, v.page()
	})
	stop("handset")
	v.open("/no-such-page")
	stop("no-page")
	v.open("/searches/none")
	stop("no-search")
}
