package e2e

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// phrases are what the one reply says, written down here a second time on purpose: what people read must not change unseen.
type phrases struct {
	head                                  func(day time.Time, tail string) string
	app                                   string // name, count
	own, left, undated, empty, unanswered string
	none, where, between, list            string
}

var place = time.FixedZone("Asia/Shanghai", 8*3600)

var replyPhrases = map[string]phrases{
	"zh-CN": {
		head: func(day time.Time, tail string) string {
			return fmt.Sprintf("【清号】截至%d月%d日，尾号%s的号码", day.Month(), day.Day(), tail)
		},
		app: "%s%d", own: "绑定账号：%s。", none: "未查到绑定的账号。", left: "前机主遗留：%s。", undated: "绑定时间不明：%s。",
		empty: "无账号：%s。", unanswered: "未答复：%s。", where: "查看明细：微信公众号“清号”→“我的查询”。如有疑问请联系各公司客服。",
		between: "", list: "、",
	},
	"en": {
		head: func(day time.Time, tail string) string {
			return fmt.Sprintf("Untether: number ending %s, as of %d %s.", tail, day.Day(), day.Month())
		},
		app: "%s %d", own: "Accounts: %s.", none: "No accounts found.", left: "Left by a previous holder: %s.", undated: "Date not known: %s.",
		empty: "None: %s.", unanswered: "No answer: %s.",
		where:   "Details: WeChat account Qinghao, menu \"My searches\". Questions? Ask the company's customer service.",
		between: " ", list: ", ",
	},
}

// names are the apps' names in a language.
func (w *world) names(ctx context.Context, language string) (map[string]string, error) {
	var answer struct {
		Apps []struct {
			ID   string
			Name map[string]string
		}
	}
	err := w.v1(ctx, "GET", "/v1/apps", nil, &answer)
	names := map[string]string{}
	for _, a := range answer.Apps {
		names[a.ID] = a.Name[language]
	}
	return names, err
}

// expected is the whole text that a report asks for, as of a day.
func expected(language, number string, day time.Time, apps []appReport, names map[string]string) string {
	p := replyPhrases[language]
	var own, left, undated, empty, unanswered []string
	answered := 0
	for _, a := range apps {
		c, _ := a.counts()
		if a.Status != "answered" {
			unanswered = append(unanswered, names[a.App])
			continue
		}
		answered++
		for _, part := range []struct {
			list  *[]string
			count int
		}{{&own, c.Accounts}, {&left, c.Left}, {&undated, c.Undated}} {
			if part.count > 0 {
				*part.list = append(*part.list, fmt.Sprintf(p.app, names[a.App], part.count))
			}
		}
		if c == (counts{}) {
			empty = append(empty, names[a.App])
		}
	}
	sentences := []string{p.head(day.In(place), number[len(number)-4:])}
	add := func(phrase string, list []string) {
		if len(list) > 0 {
			sentences = append(sentences, fmt.Sprintf(phrase, strings.Join(list, p.list)))
		}
	}
	if len(own) == 0 && answered > 0 {
		sentences = append(sentences, p.none)
	}
	add(p.own, own)
	add(p.left, left)
	add(p.undated, undated)
	add(p.empty, empty)
	add(p.unanswered, unanswered)
	return strings.Join(append(sentences, p.where), p.between)
}

// saysExactly compares a reply with its report. It may have been composed just before midnight.
func (w *world) saysExactly(ctx context.Context, p person, text string, r report) error {
	names, err := w.names(ctx, p.Language)
	if err != nil {
		return err
	}
	if r.RepliedAt == nil {
		return fmt.Errorf("the search is %s and was not replied to", r.Status)
	}
	first := ""
	for _, day := range []time.Time{*r.RepliedAt, r.RepliedAt.Add(-time.Minute)} {
		want := expected(p.Language, p.PhoneNumber, day, r.Apps, names)
		if text == want {
			return nil
		}
		if first == "" {
			first = want
		}
	}
	return fmt.Errorf("the text is\n%s\nthe report says\n%s", text, first)
}
