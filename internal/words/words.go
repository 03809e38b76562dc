// Package words holds every text that a person reads, in Chinese and in English, and finds the language they want.
//
// It guarantees that both languages have every text with the same placeholders (a test compares the files), and that
// saying one is cheap enough for texts sent at thousands a second. It does not escape: HTML templates do that.
package words

import (
	"golang.org/x/text/language"
)

// Language is one of the languages that every text exists in, as a BCP 47 tag. The zero Language speaks Chinese.
type Language string

// The languages.
const (
	ZhCN Language = "zh-CN"
	En   Language = "en"
)

// Languages lists them, the default first.
func Languages() []Language { return []Language{ZhCN, En} }

// ParseLanguage takes exactly what the APIs take: "zh-CN" or "en".
func ParseLanguage(s string) (Language, bool) {
	switch l := Language(s); l {
	case ZhCN, En:
		return l, true
	default:
		return "", false
	}
}

// acceptLanguageBytesMax bounds what is read of a header: browsers send less than a hundred bytes.
const acceptLanguageBytesMax = 512

var (
	matched = []Language{ZhCN, En, ZhCN, ZhCN}
	matcher = language.NewMatcher([]language.Tag{
		language.MustParse("zh-CN"), language.English, language.Chinese, language.TraditionalChinese,
	})
)

// Match picks the language for an Accept-Language header. Chinese of every kind gets Chinese, and so does whoever asks
// for none of ours.
func Match(acceptLanguage string) Language {
	if len(acceptLanguage) > acceptLanguageBytesMax {
		return ZhCN
	}
	wanted, _, err := language.ParseAcceptLanguage(acceptLanguage)
	if err != nil {
		return ZhCN
	}
	_, i, confidence := matcher.Match(wanted...)
	if confidence == language.No {
		return ZhCN
	}
	return matched[i]
}
