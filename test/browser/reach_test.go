package browser

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"untether/internal/words"
)

// overflow names what sticks out of the page to the right.
const overflow = `(() => {
	const width = document.documentElement.clientWidth;
	if (document.documentElement.scrollWidth <= width && document.body.scrollWidth <= width) return "";
	return Array.from(document.querySelectorAll("body *")).filter(e => e.getBoundingClientRect().right > width + 0.5)
		.map(e => e.outerHTML.slice(0, 120)).slice(0, 4).join("\n") || "the page itself";
})()`

// TestNothingScrollsSideways looks at every page and state on the narrowest screens, on a desk zoomed to 200 and 400
// percent, and on a phone whose owner doubled the text.
func TestNothingScrollsSideways(t *testing.T) {
	both(t, func(t *testing.T, lang words.Language) {
		c := newCountry(t)
		v := visit(t, c.URL(), device{language: lang, still: true})
		everyState(t, c, v, func(name string) {
			for _, d := range []struct {
				what   string
				larger string
				device
			}{
				{what: "a phone of 320 pixels", device: device{width: 320}},
				{what: "a desk at 200 %", device: device{width: 640, scale: 2, desktop: true}},
				{what: "a desk at 400 %", device: device{width: 320, scale: 4, desktop: true}},
				{what: "text of twice the size", larger: "225%"},
			} {
				d.language, d.still = lang, true
				v.take(d.device)
				_ = ask[bool](v, fmt.Sprintf(`((document.documentElement.style.fontSize = %q), true)`, d.larger))
				if out := ask[string](v, overflow); out != "" {
					t.Errorf("%s on %s is wider than the screen:\n%s", name, d.what, out)
				}
			}
			_ = ask[bool](v, `((document.documentElement.style.fontSize = ""), true)`)
			v.take(device{language: lang, still: true})
		})
	})
}

// TestTargetsAreLarge measures everything that is tapped: 44 pixels high or wide at least, unless it stands in a sentence.
func TestTargetsAreLarge(t *testing.T) {
	c := newCountry(t)
	v := visit(t, c.URL(), device{language: words.ZhCN, still: true})
	everyState(t, c, v, func(name string) {
		small := ask[string](v, `Array.from(document.querySelectorAll("a, button, input, summary")).filter(e => e.checkVisibility() &&
			!e.matches(".skip") && !e.closest(".problem") && e.getBoundingClientRect().height < 44).map(e => e.outerHTML.slice(0, 120)).join("\n")`)
		if small != "" {
			t.Errorf("%s has targets that are hard to hit:\n%s", name, small)
		}
	})
}

// press types keys, one after another.
func (v *visitor) press(all ...string) {
	v.t.Helper()
	for _, key := range all {
		v.do(keys(key))
	}
}

// enter presses Enter as a keyboard does: when the key going down did something, the character that follows is dropped.
func (v *visitor) enter() {
	v.t.Helper()
	key := input.DispatchKeyEventParams{Key: "Enter", Code: "Enter", WindowsVirtualKeyCode: 13}
	for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeRawKeyDown, input.DispatchKeyEventTypeChar, input.DispatchKeyEventTypeKeyUp} {
		key.Type, key.Text = kind, ""
		if kind == input.DispatchKeyEventTypeChar {
			key.Text = "\r"
		}
		call(v, input.DispatchKeyEvent, key)
	}
}

// tabTo presses Tab until the cursor is on something, which must be seen to have it.
func (v *visitor) tabTo(selector string) {
	v.t.Helper()
	var passed []string
	for range 40 {
		v.press(kb.Tab)
		at := ask[string](v, `document.activeElement.outerHTML.slice(0, 80)`)
		passed = append(passed, at)
		if ask[bool](v, fmt.Sprintf(`document.activeElement.matches(%q)`, selector)) {
			if !ask[bool](v, `(s => s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2)(getComputedStyle(document.activeElement))`) {
				v.t.Errorf("%s does not show that it has the cursor", selector)
			}
			return
		}
	}
	v.t.Fatalf("Tab never reaches %s, only:\n%s", selector, strings.Join(passed, "\n"))
}

// TestKeyboardOnly does the whole journey without a finger or a mouse.
func TestKeyboardOnly(t *testing.T) {
	both(t, func(t *testing.T, lang words.Language) {
		c := newCountry(t)
		who := c.sample()
		d := device{language: lang, desktop: true, width: 1280}
		v, handset := visit(t, c.URL(), d), visit(t, c.URL(), d)
		handset.pickUp(who)

		v.open("/")
		v.tabTo(".skip")
		v.enter()
		v.until("the cursor in the content", func() (bool, string) {
			return peek[string](v, `location.hash`) == "#main", v.page()
		})
		v.tabTo("#phoneNumber")
		v.press("12")
		v.enter()
		v.isWrong("phoneNumber", v.say("problem.phoneNumber"))
		v.tabTo("#problem a")
		v.enter()
		v.until("the cursor in the field", func() (bool, string) {
			return peek[string](v, `document.activeElement.id`) == "phoneNumber", peek[string](v, `location.href + document.activeElement.outerHTML`)
		})
		// Coming back with Tab selects what is there, so that typing replaces it.
		v.do(chromedp.KeyEvent(kb.Tab, chromedp.KeyModifiers(chromedp.ModifierShift)))
		v.tabTo("#phoneNumber")
		v.press(who.national())
		if got := ask[string](v, `document.getElementById("phoneNumber").value`); got != who.national() {
			t.Fatalf("the field holds %q", got)
		}
		v.enter()
		v.sees(v.say("verify.heading"))
		v.tabTo("#code")
		v.press(handset.readCode(""))
		v.tabTo("#idLast6")
		v.press(who.IDLast6)
		v.tabTo("details summary")
		v.enter()
		v.sees(v.say("verify.docPassport"))
		v.tabTo(`.card button[type="submit"]`)
		v.enter()
		v.sees(v.say("result.own"))
		v.tabTo(".apart a.left")
		v.enter()
		v.until("what was left", func() (bool, string) { return peek[string](v, `location.hash`) == "#left", v.page() })
	})
}

// TestLessMotion: whoever asked for less motion sees none.
func TestLessMotion(t *testing.T) {
	c := newCountry(t)
	who := c.sample()
	c.behave("down", slowApps...)
	moving := `document.getAnimations().filter(a => a.playState === "running").length`
	v := visit(t, c.URL(), device{language: words.ZhCN, still: true})
	handset := visit(t, c.URL(), device{language: words.ZhCN, still: true})
	v.askForCode(who.national())
	handset.pickUp(who)
	v.prove(handset.readCode(""), who.IDLast6)
	v.news("thirteen answers", func() bool { return v.text("#progress b") == "13" })
	if n := ask[int](v, moving) + ask[int](handset, moving); n != 0 {
		t.Errorf("%d things move", n)
	}
	v.take(device{language: words.ZhCN})
	if n := ask[int](v, moving); n == 0 {
		t.Error("nothing moves where nobody asked for less motion: the check above cannot fail")
	}
}
