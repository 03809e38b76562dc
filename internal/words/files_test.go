package words

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/goccy/go-yaml"
)

// forms reads a file as every form of every text: key, plural form, text.
func forms(t *testing.T, l Language) map[string]map[string]string {
	t.Helper()
	raw, err := files.ReadFile(string(l) + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	var top map[string]any
	if err := yaml.UnmarshalWithOptions(raw, &top, yaml.Strict()); err != nil {
		t.Fatalf("%s: %v", l, err)
	}
	all := map[string]map[string]string{}
	for key, value := range top {
		all[key] = map[string]string{}
		switch v := value.(type) {
		case string:
			all[key]["other"] = v
		case map[string]any:
			for form, text := range v {
				all[key][form] = text.(string)
			}
		default:
			t.Errorf("%s: %s is neither a text nor plural forms", l, key)
		}
	}
	return all
}

func blanksOf(t *testing.T, where, text string) []string {
	t.Helper()
	parsed, err := blanks{}.Parse(text, "", "")
	if err != nil {
		t.Errorf("%s: %v", where, err)
		return nil
	}
	names := slices.Clone(parsed.(*filled).names)
	slices.Sort(names)
	return slices.Compact(names)
}

// mayBeEmpty are the texts that are nothing in one language.
var mayBeEmpty = map[string]bool{"sms.reply.separator": true}

func TestBothFilesSayTheSame(t *testing.T) {
	zh, en := forms(t, ZhCN), forms(t, En)
	for key := range zh {
		if en[key] == nil {
			t.Errorf("%s is missing in English", key)
		}
	}
	for key, englishForms := range en {
		if zh[key] == nil {
			t.Errorf("%s is missing in Chinese", key)
			continue
		}
		want := blanksOf(t, "zh-CN "+key, zh[key]["other"])
		for form, text := range englishForms {
			if got := blanksOf(t, "en "+key, text); !slices.Equal(got, want) {
				t.Errorf("%s (%s): blanks %v in English, %v in Chinese", key, form, got, want)
			}
		}
	}
}

func TestNoTextIsEmptyOrUntidy(t *testing.T) {
	for _, l := range Languages() {
		for key, all := range forms(t, l) {
			for form, text := range all {
				switch {
				case strings.TrimSpace(text) == "" && !mayBeEmpty[key]:
					t.Errorf("%s: %s (%s) is empty", l, key, form)
				case text != strings.TrimSpace(text) && !strings.Contains(key, "separator"):
					t.Errorf("%s: %s (%s) has spaces around it", l, key, form)
				case l == En && strings.ContainsFunc(text, isHan) && !strings.Contains(key, "language"):
					t.Errorf("en: %s (%s) has Chinese characters", key, form)
				}
			}
		}
	}
}

func isHan(r rune) bool { return unicode.Is(unicode.Han, r) }

// English texts must fit the 7-bit alphabet: one curly quote would halve what a message holds.
func TestEnglishTextMessagesAreGSM7(t *testing.T) {
	const alphabet = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà^{}\\[~]|€"
	for key, all := range forms(t, En) {
		if !strings.HasPrefix(key, "sms.") && !strings.HasPrefix(key, "date.") {
			continue
		}
		for _, text := range all {
			if i := strings.IndexFunc(text, func(r rune) bool { return !strings.ContainsRune(alphabet, r) }); i >= 0 {
				t.Errorf("%s: %q is not in the GSM 7-bit alphabet", key, text[i:])
			}
		}
	}
}

var (
	saidInGo   = regexp.MustCompile(`\b(?:Say|say)\([^"\n]*?"([a-z][A-Za-z0-9]*(?:\.[A-Za-z0-9_]+)+)"`)
	saidInHTML = regexp.MustCompile(`\bsay "([a-z][A-Za-z0-9.]*\.[A-Za-z0-9_]+)"`)
	anyLiteral = regexp.MustCompile(`"([a-z][A-Za-z0-9]*\.[A-Za-z0-9_.]*)"`)
)

// source reads the repository's own Go and HTML, without this package's tests.
func source(t *testing.T) map[string]string {
	t.Helper()
	root := filepath.Join("..", "..")
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") {
			return err
		}
		if ext := filepath.Ext(path); ext == ".go" || ext == ".html" {
			raw, err := os.ReadFile(path)
			all[path] = string(raw)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEveryKeySaidExists(t *testing.T) {
	for path, text := range source(t) {
		for _, m := range slices.Concat(saidInGo.FindAllStringSubmatch(text, -1), saidInHTML.FindAllStringSubmatch(text, -1)) {
			if key := m[1]; !Has(key) {
				t.Errorf("%s says %q, which is in no file", path, key)
			}
		}
	}
}

// A key is used when the source holds it whole, or holds its beginning up to a dot ("fault." + code).
func TestEveryKeyIsUsed(t *testing.T) {
	held := map[string]bool{}
	for _, text := range source(t) {
		for _, m := range anyLiteral.FindAllStringSubmatch(text, -1) {
			held[m[1]] = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(forms(t, ZhCN))) {
		beginning := key[:strings.LastIndexByte(key, '.')+1]
		if !held[key] && !held[beginning] {
			t.Errorf("%s is used nowhere", key)
		}
	}
}

func TestBlanks(t *testing.T) {
	for _, text := range []string{"{{name}}", "{{.name | printf}}", "{{.a.b}}", "{{", "}}", "{{.}}", "{{ .name }}"} {
		if _, err := (blanks{}).Parse(text, "", ""); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
