package search

import (
	"strings"
	"testing"
	"time"

	"untether/internal/catalog"
	"untether/internal/phone"
	"untether/internal/sms"
	"untether/internal/words"
	"untether/internal/work"
)

func TestAppReport(t *testing.T) {
	deadline := time.Date(2026, 3, 3, 9, 0, 0, 0, time.UTC)
	counts := `{"accounts":1,"left":2,"undated":3}`
	for name, c := range map[string]struct {
		item   work.Item
		status AppStatus
		counts Counts
	}{
		"no item":                {work.Item{}, Pending, Counts{}},
		"open":                   {work.Item{State: work.Open}, Pending, Counts{}},
		"in time":                {work.Item{State: work.Done, Outcome: counts, DoneAt: deadline.Add(-1)}, Answered, Counts{1, 2, 3}},
		"at the deadline":        {work.Item{State: work.Done, Outcome: counts, DoneAt: deadline}, Answered, Counts{1, 2, 3}},
		"a moment late":          {work.Item{State: work.Done, Outcome: counts, DoneAt: deadline.Add(1)}, Late, Counts{1, 2, 3}},
		"nonsense":               {work.Item{State: work.Failed, Outcome: `"nonsense"`, DoneAt: deadline}, Failed, Counts{}},
		"an outcome not of ours": {work.Item{State: work.Done, Outcome: `[`, DoneAt: deadline}, Failed, Counts{}},
		"void":                   {work.Item{State: work.Void}, Pending, Counts{}},
	} {
		if got := appReport("qq", c.item, deadline); got.Status != c.status || got.Counts != c.counts || got.App != "qq" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestNonsense(t *testing.T) {
	for name, c := range map[string]struct {
		answer Answer
		bad    bool
	}{
		"none at all":       {Answer{Kind: KindCount}, false},
		"as many as can be": {Answer{Kind: KindCount, Counts: Counts{10_000, 10_000, 10_000}}, false},
		"another kind":      {Answer{Kind: "list"}, true},
		"no kind":           {Answer{}, true},
		"a count missing":   {Answer{Kind: KindCount, Missing: true}, true},
		"accounts negative": {Answer{Kind: KindCount, Counts: Counts{-1, 0, 0}}, true},
		"left negative":     {Answer{Kind: KindCount, Counts: Counts{0, -1, 0}}, true},
		"undated negative":  {Answer{Kind: KindCount, Counts: Counts{0, 0, -1}}, true},
		"accounts too many": {Answer{Kind: KindCount, Counts: Counts{10_001, 0, 0}}, true},
		"left too many":     {Answer{Kind: KindCount, Counts: Counts{0, 10_001, 0}}, true},
		"undated too many":  {Answer{Kind: KindCount, Counts: Counts{0, 0, 1 << 40}}, true},
	} {
		if got := c.answer.nonsense(); (got != "") != c.bad {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestCompose(t *testing.T) {
	style := ReplyStyle{Place: time.FixedZone("", 8*3600), Service: map[words.Language]string{words.ZhCN: "微信公众号“清号”", words.En: "WeChat account Qinghao"},
		Menu: map[words.Language]string{words.ZhCN: "我的查询", words.En: "My searches"}}
	now := time.Date(2026, 3, 1, 20, 0, 0, 0, time.UTC) // the second of March in Shanghai
	report := func(app string, s AppStatus, c ...int) AppReport {
		r := AppReport{App: app, Status: s}
		if len(c) == 3 {
			r.Counts = Counts{c[0], c[1], c[2]}
		}
		return r
	}
	for name, c := range map[string]struct {
		apps   []AppReport
		zh, en string
	}{
		"everything at once": {
			[]AppReport{report("wechat", Answered, 2, 1, 0), report("alipay", Answered, 1, 0, 4), report("qq", Answered, 0, 0, 0), report("jd", Pending), report("weibo", Failed), report("baidu", Late, 5, 5, 5)},
			"绑定账号：微信2、支付宝1。前机主遗留：微信1。绑定时间不明：支付宝4。无账号：QQ。未答复：京东、微博、百度。",
			"Accounts: WeChat 2, Alipay 1. Left by a previous holder: WeChat 1. Date not known: Alipay 4. None: QQ. No answer: JD, Weibo, Baidu."},
		"nothing found": {
			[]AppReport{report("wechat", Answered, 0, 0, 0), report("qq", Answered, 0, 0, 0)},
			"未查到绑定的账号。无账号：微信、QQ。", "No accounts found. None: WeChat, QQ."},
		"nobody answered": {
			[]AppReport{report("wechat", Pending), report("qq", Failed)},
			"未答复：微信、QQ。", "No answer: WeChat, QQ."},
		"only left by someone before": {
			[]AppReport{report("wechat", Answered, 0, 3, 0)},
			"未查到绑定的账号。前机主遗留：微信3。", "No accounts found. Left by a previous holder: WeChat 3."},
		"only undated": {
			[]AppReport{report("wechat", Answered, 0, 0, 1)},
			"未查到绑定的账号。绑定时间不明：微信1。", "No accounts found. Date not known: WeChat 1."},
		"an app that left the catalogue": {
			[]AppReport{report("gone", Answered, 1, 0, 0)}, "绑定账号：gone1。", "Accounts: gone 1."},
	} {
		for lang, middle := range map[words.Language]string{words.ZhCN: c.zh, words.En: c.en} {
			want := "【清号】截至3月2日，尾号0001的号码" + middle + "查看明细：微信公众号“清号”→“我的查询”。如有疑问请联系各公司客服。"
			if lang == words.En {
				want = "Untether: number ending 0001, as of 2 March. " + middle + " Details: WeChat account Qinghao, menu \"My searches\". Questions? Ask the company's customer service."
			}
			if got := style.Compose(lang, phone.MustParse("+8613800000001"), now, c.apps, catalog.Default()); got != want {
				t.Errorf("%s, %s:\n%s\nwant\n%s", name, lang, got, want)
			}
		}
	}
}

// However many apps a catalogue has and whatever they answer, the text can be sent.
func TestAReplyFitsASMSCentre(t *testing.T) {
	style := ReplyStyle{Place: time.UTC, Service: map[words.Language]string{words.ZhCN: "微信公众号“清号”", words.En: "WeChat account 清号"},
		Menu: map[words.Language]string{words.ZhCN: "我的查询", words.En: "My searches"}}
	ids := catalog.Default().IDs()
	for _, n := range []int{len(ids), 100, 1000} { // catalog.AppsMax
		for _, counts := range []Counts{{}, {countMax, countMax, countMax}} {
			apps := make([]AppReport, n)
			for i := range apps {
				apps[i] = AppReport{App: ids[i%len(ids)], Status: Answered, Counts: counts}
			}
			for _, lang := range words.Languages() {
				text := style.Compose(lang, phone.MustParse("+8613800000001"), time.UnixMicro(0), apps, catalog.Default())
				if _, err := sms.Segment(text, 1); err != nil || n == len(ids) && strings.Contains(text, "…") {
					t.Errorf("%d apps with %v in %s: %v: %s", n, counts, lang, err, text)
				}
			}
		}
	}
}

func TestTail(t *testing.T) {
	for number, want := range map[string]string{"+8613800000001": "0001", "+12345": "2345"} {
		if got := tail(phone.MustParse(number)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestHandle(t *testing.T) {
	k := work.Key{Subject: "s-_9", Ref: "r", Lane: work.AppLane("qq")}
	if got, ok := keyOf(handle(k), "qq"); !ok || got != k {
		t.Errorf("%+v, %v", got, ok)
	}
}

// A handle that an app made up names at most a key that the hub could have made, in that app's own lane.
func FuzzHandle(f *testing.F) {
	f.Add(handle(work.Key{Subject: "subject", Ref: "ref"}))
	f.Add("Lg")
	f.Add("AC4A")
	f.Fuzz(func(t *testing.T, id string) {
		k, ok := keyOf(id, "qq")
		if !ok {
			return
		}
		if k.Lane != "app:qq" || !isName(k.Subject) || !isName(k.Ref) || handle(k) != id && len(id) > handleMax {
			t.Errorf("%q: %+v", id, k)
		}
	})
}
