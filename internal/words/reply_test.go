package words

import (
	"strings"
	"testing"
	"unicode/utf16"
)

// A whole reply about sixteen apps, as the search composes it, must stay within five parts on the air.
func TestReplyStaysShort(t *testing.T) {
	names := map[Language]string{
		ZhCN: "微信 QQ 淘宝 闲鱼 支付宝 百度 抖音 今日头条 快手 京东 美团 大众点评 微博 拼多多 小红书 哔哩哔哩",
		En:   "WeChat QQ Taobao Xianyu Alipay Baidu Douyin Toutiao Kuaishou JD Meituan Dianping Weibo Pinduoduo Xiaohongshu Bilibili",
	}
	unitsInPart := map[Language]int{ZhCN: 67, En: 153}
	for _, l := range Languages() {
		var counts []string
		all := strings.Fields(names[l])
		for _, name := range all {
			counts = append(counts, Say(l, "sms.reply.app", "name", name, "count", 12))
		}
		list := func(s []string) string { return strings.Join(s, Say(l, "sms.list.separator")) }
		reply := strings.Join([]string{
			Say(l, "sms.reply.head", "date", Say(l, "date.day", "month", map[Language]any{ZhCN: 11, En: "November"}[l], "day", 23), "tail", "5678"),
			Say(l, "sms.reply.own", "list", list(counts)),
			Say(l, "sms.reply.left", "list", list(counts[:4])),
			Say(l, "sms.reply.undated", "list", list(counts[4:6])),
			Say(l, "sms.reply.unanswered", "list", list(all[6:8])),
			Say(l, "sms.reply.where", "service", map[Language]string{ZhCN: "微信公众号“清号”", En: "WeChat account Qinghao"}[l], "menu", map[Language]string{ZhCN: "我的查询", En: "My searches"}[l]),
			Say(l, "sms.reply.doubt"),
		}, Say(l, "sms.reply.separator"))
		units := len(utf16.Encode([]rune(reply)))
		if limit := 5 * unitsInPart[l]; units > limit {
			t.Errorf("%s: %d units, at most %d: %s", l, units, limit, reply)
		}
		t.Logf("%s: %d units: %s", l, units, reply)
	}
}
