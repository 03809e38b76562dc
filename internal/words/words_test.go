package words

import (
	"strings"
	"testing"
	"time"
)

var shanghai = time.FixedZone("CST", 8*3600)

func TestParseLanguage(t *testing.T) {
	for in, ok := range map[string]bool{"zh-CN": true, "en": true, "": false, "zh": false, "EN": false, "en-US": false, "fr": false} {
		if l, got := ParseLanguage(in); got != ok || (ok && string(l) != in) {
			t.Errorf("ParseLanguage(%q) = %q, %v", in, l, got)
		}
	}
}

func TestMatch(t *testing.T) {
	cases := []struct {
		name, header string
		want         Language
	}{
		{"nothing asked", "", ZhCN},
		{"a Chinese browser", "zh-CN,zh;q=0.9,en;q=0.8", ZhCN},
		{"Chinese without a region", "zh", ZhCN},
		{"traditional characters", "zh-Hant-HK", ZhCN},
		{"an American browser", "en-US,en;q=0.5", En},
		{"English before Chinese", "en-GB,zh-CN;q=0.9", En},
		{"a language we lack, then English", "fr-FR,en;q=0.3", En},
		{"only a language we lack", "fr-FR", ZhCN},
		{"a language whose readers mostly read English too", "sw", En},
		{"not a header at all", ";;;q=x,,\x00", ZhCN},
		{"absurdly long", strings.Repeat("en,", 10_000), ZhCN},
	}
	for _, c := range cases {
		if got := Match(c.header); got != c.want {
			t.Errorf("%s: Match = %q, want %q", c.name, got, c.want)
		}
	}
}

func TestSay(t *testing.T) {
	cases := []struct {
		name  string
		lang  Language
		key   string
		pairs []any
		want  string
	}{
		{"blanks are filled", ZhCN, "sms.reply.app", []any{"name", "微信", "count", 2}, "微信2"},
		{"in English", En, "sms.reply.app", []any{"name", "WeChat", "count", 1}, "WeChat 1"},
		{"one", En, "wait.hours", []any{"count", 1}, "1 hour"},
		{"many", En, "wait.hours", []any{"count", 3}, "3 hours"},
		{"zero is many in English", En, "wait.hours", []any{"count", 0}, "0 hours"},
		{"Chinese has one form", ZhCN, "wait.hours", []any{"count", 1}, "1 小时"},
		{"a value missing leaves a gap", ZhCN, "sms.reply.app", []any{"name", "微信"}, "微信"},
		{"an odd pair is ignored", ZhCN, "sms.reply.app", []any{"name", "微信", "count"}, "微信"},
		{"the count missing", En, "wait.hours", nil, " hours"},
		{"an unknown key says itself", En, "no.such.key", nil, "no.such.key"},
		{"an unknown language speaks Chinese", "fr", "wait.days", []any{"count", 2}, "2 天"},
		{"a value is not a template", En, "sms.reply.app", []any{"name", "{{.count}}", "count", 1}, "{{.count}} 1"},
	}
	for _, c := range cases {
		if got := Say(c.lang, c.key, c.pairs...); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestDates(t *testing.T) {
	// A quarter past midnight in Shanghai is still the day before in London.
	at := time.Date(2026, 11, 22, 16, 15, 0, 0, time.UTC)
	cases := []struct{ name, got, want string }{
		{"day, zh", Date(ZhCN, at, shanghai), "11月23日"},
		{"day, en", Date(En, at, shanghai), "23 November"},
		{"elsewhere", Date(En, at, time.UTC), "22 November"},
		{"clock", Clock(at, shanghai), "00:15"},
		{"moment, zh", Moment(ZhCN, at, shanghai), "11月23日 00:15"},
		{"moment, en", Moment(En, at, shanghai), "23 November, 00:15"},
	}
	for _, c := range cases {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.name, c.got, c.want)
		}
	}
}

func TestWait(t *testing.T) {
	cases := []struct {
		d    time.Duration
		want string
	}{
		{-time.Second, "1 second"},
		{0, "1 second"},
		{400 * time.Millisecond, "1 second"},
		{59*time.Second + 1, "60 seconds"},
		{91 * time.Second, "2 minutes"},
		{10 * time.Minute, "10 minutes"},
		{10*time.Minute + 1, "11 minutes"},
		{23*time.Hour + 5*time.Minute, "24 hours"},
		{49 * time.Hour, "3 days"},
	}
	for _, c := range cases {
		if got := Wait(En, c.d); got != c.want {
			t.Errorf("Wait(%v) = %q, want %q", c.d, got, c.want)
		}
	}
}

// The cost of the texts of one reply must stay far below the cost of storing it.
func BenchmarkSay(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Say(ZhCN, "sms.reply.app", "name", "微信", "count", 2)
	}
}
