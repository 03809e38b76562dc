package sandbox

import (
	"regexp"
	"strings"
	"testing"

	"untether/internal/words"
)

var (
	blank = regexp.MustCompile(`\{\{\.[a-z]+\}\}`)
	told  = regexp.MustCompile(`(?:text|tell\([a-z.A-Z()]+,) "([a-z]+\.[A-Za-z]+)"`)
)

func TestBothLanguagesHaveEveryText(t *testing.T) {
	zh, en := texts[words.ZhCN], texts[words.En]
	for key, text := range zh {
		other, ok := en[key]
		if !ok || strings.TrimSpace(other) == "" || strings.TrimSpace(text) == "" {
			t.Errorf("%s is missing or empty", key)
		}
		if a, b := len(blank.FindAllString(text, -1)) == 0, len(blank.FindAllString(other, -1)) == 0; a != b {
			t.Errorf("%s has blanks in one language only", key)
		}
	}
	for key := range en {
		if _, ok := zh[key]; !ok {
			t.Errorf("%s is missing in Chinese", key)
		}
	}
}

func TestEveryTextIsTold(t *testing.T) {
	used := map[string]bool{}
	for _, name := range []string{"pages/list.html", "pages/handset.html"} {
		raw, err := pageFiles.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range told.FindAllStringSubmatch(string(raw), -1) {
			used[m[1]] = true
			if _, ok := texts[words.ZhCN][m[1]]; !ok {
				t.Errorf("%s tells %s, which does not exist", name, m[1])
			}
		}
	}
	for _, key := range []string{"list.title", "phone.title", "phone.goneTitle"} { // told by handsets.go
		used[key] = true
	}
	for key := range texts[words.ZhCN] {
		if !used[key] {
			t.Errorf("%s is told nowhere", key)
		}
	}
}
