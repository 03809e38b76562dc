package catalog

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"untether/internal/words"
)

func TestDefaultHasTheSixteenInOrder(t *testing.T) {
	want := strings.Fields("wechat qq taobao xianyu alipay baidu douyin toutiao kuaishou jd meituan dianping weibo pinduoduo xiaohongshu bilibili")
	if got := Default().IDs(); !slices.Equal(got, want) {
		t.Fatalf("ids %v, want %v", got, want)
	}
	badges := map[string]string{}
	for _, a := range Default().Apps() {
		if other, twice := badges[a.Badge]; twice {
			t.Errorf("%s and %s have the same badge", a.ID, other)
		}
		badges[a.Badge] = a.ID
		if a.Name.In(words.ZhCN) != a.Name.ZhCN || a.Name.In(words.En) != a.Name.En {
			t.Errorf("%s: the languages are mixed up", a.ID)
		}
	}
}

func TestFind(t *testing.T) {
	if a, ok := Default().Find("alipay"); !ok || a.Name.ZhCN != "支付宝" || a.Kind != Payment {
		t.Errorf("Find(alipay) = %+v, %v", a, ok)
	}
	for _, id := range []string{"", "ALIPAY", "nobody"} {
		if _, ok := Default().Find(id); ok {
			t.Errorf("Find(%q) found something", id)
		}
	}
}

func TestAppsAreTheCallersOwn(t *testing.T) {
	Default().Apps()[0].ID = "changed"
	if Default().Apps()[0].ID != "wechat" {
		t.Error("a caller changed the catalogue")
	}
}

const one = `apps:
  - id: shop
    name: {zh-CN: 小店, en: Shop}
    company: {zh-CN: 某公司, en: Some Company}
    kind: shopping
    badge: 店
    colour: "#204060"
`

func TestParse(t *testing.T) {
	cases := []struct {
		name, from, to string // one replacement in a good file
		want           string // part of the error; empty for none
	}{
		{"good", "", "", ""},
		{"two letters", "badge: 店", "badge: Sh", ""},
		{"no apps", one, "apps: []", "0 apps"},
		{"not YAML", one, "{{{", "invalid catalogue"},
		{"a list at the top", one, "[1, 2]", "invalid catalogue"},
		{"an unknown field", "kind: shopping", "kind: shopping\n    logo: x.png", "logo"},
		{"an unknown field at the top", "apps:", "version: 2\napps:", "version"},
		{"a field twice", "kind: shopping", "kind: shopping\n    kind: local", "kind"},
		{"id with capitals", "id: shop", "id: Shop", "id:"},
		{"id with a dash", "id: shop", "id: my-shop", "id:"},
		{"no id", "id: shop", `id: ""`, "id:"},
		{"unknown kind", "kind: shopping", "kind: magic", "kind:"},
		{"no English name", "en: Shop", `en: ""`, "name.en: missing"},
		{"Chinese name missing", "zh-CN: 小店, ", "", "name.zh-CN: missing"},
		{"long name", "en: Shop", "en: " + strings.Repeat("x", 25), "name.en: 25 characters"},
		{"spaces around a name", "en: Shop", `en: " Shop"`, "name.en: spaces"},
		{"a line break in a name", "en: Shop", `en: "Sh\nop"`, "name.en: characters"},
		{"a direction mark in a company", "en: Some Company", `en: "Some\u202eCompany"`, "company.en: characters"},
		{"two Chinese characters", "badge: 店", "badge: 小店", "badge:"},
		{"three letters", "badge: 店", "badge: Sho", "badge:"},
		{"a sign", "badge: 店", `badge: "<"`, "badge:"},
		{"a colour by name", "#204060", "red", "colour:"},
		{"a colour with a style in it", "#204060", "#20406;x", "colour:"},
		{"too light for white text", "#204060", "#8080ff", "contrast"},
		{"an id twice", one, one + strings.TrimPrefix(one, "apps:\n"), "that of app 1 too"},
	}
	for _, c := range cases {
		_, err := Parse([]byte(strings.Replace(one, c.from, c.to, 1)))
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
	if _, err := Parse(make([]byte, FileBytesMax+1)); !errors.Is(err, ErrInvalid) {
		t.Errorf("an endless file: %v", err)
	}
}

func TestContrast(t *testing.T) {
	for colour, want := range map[string]float64{"#ffffff": 1, "#000000": 21, "#767676": 4.54} {
		if got := contrastWithWhite(colour); got < want-0.01 || got > want+0.01 {
			t.Errorf("%s: %.3f, want %.2f", colour, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(one))
	f.Add(builtIn)
	f.Add([]byte("apps:\n- {id: &a x, name: *a}"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := Parse(raw)
		if err != nil {
			return
		}
		for _, id := range c.IDs() {
			if a, ok := c.Find(id); !ok || a.Name.En == "" || a.Name.ZhCN == "" {
				t.Errorf("%q was read without its names", id)
			}
		}
	})
}
