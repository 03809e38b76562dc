package browser

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"untether/internal/clock"
	"untether/internal/words"
)

// patience is how long a visitor waits for anything on this machine; generous, because it may be busy.
const patience = 20 * time.Second

const (
	phoneAgent   = "Mozilla/5.0 (Linux; Android 12; M2006C3LC) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36"
	webViewAgent = "Mozilla/5.0 (Linux; Android 12; M2006C3LC Build/SP1A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/116.0.0.0 " +
		"Mobile Safari/537.36 XWEB/1160065 MMWEBSDK/20231202 MicroMessenger/8.0.47.2560(0x28002F30) WeChat/arm64 Weixin NetType/4G Language/zh_CN ABI/arm64"
)

// device is what somebody looks at the pages with.
type device struct {
	language words.Language
	width    int64 // CSS pixels; 0 for a phone's 390
	scale    float64
	desktop  bool
	dark     bool
	noScript bool
	still    bool // asks for less motion
	agent    string
}

// visitor is a person with a device, a profile of their own, and an eye for what goes wrong behind the page.
type visitor struct {
	t    *testing.T
	ctx  context.Context
	home string
	lang words.Language

	noScript bool

	mu         sync.Mutex
	complaints []string
}

// visit gives a person a device. When the test ends, every request to another host and every error in the console that
// happened meanwhile fails it.
func visit(t *testing.T, home string, d device) *visitor {
	t.Helper()
	ctx, leave := chromedp.NewContext(chromium(t), chromedp.WithNewBrowserContext())
	v := &visitor{t: t, ctx: ctx, home: home, lang: d.language}
	t.Cleanup(func() {
		leave()
		v.mu.Lock()
		defer v.mu.Unlock()
		for _, complaint := range v.complaints {
			t.Error(complaint)
		}
	})
	if err := chromedp.Do(ctx); err != nil { // without a time limit: the tab lives as long as the context that opens it
		t.Fatal(err)
	}
	if err := chromedp.Listen(ctx, v.overhear); err != nil {
		t.Fatal(err)
	}
	v.take(d)
	return v
}

// take puts a device into the visitor's hands.
func (v *visitor) take(d device) {
	v.t.Helper()
	width, height, options := d.width, int64(844), []chromedp.EmulateViewportOption(nil)
	if width == 0 {
		width = 390
	}
	if d.desktop {
		height = 900
	} else {
		options = append(options, chromedp.EmulateMobile, chromedp.EmulateTouch)
	}
	if d.scale == 0 {
		d.scale = 1
	}
	agent := d.agent
	if agent == "" {
		agent = phoneAgent
	}
	scheme, motion := "light", "no-preference"
	if d.dark {
		scheme = "dark"
	}
	if d.still {
		motion = "reduce"
	}
	v.noScript = d.noScript
	v.do(chromedp.EmulateViewport(width, height, append(options, chromedp.EmulateScale(d.scale))...))
	call(v, network.Enable, network.EnableParams{})
	// Each visitor looks at their own screen, although only one tab of the browser can be in front.
	call(v, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	call(v, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: agent, AcceptLanguage: string(d.language)})
	call(v, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: d.noScript})
	call(v, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: motion}}})
}

// overhear listens to what happens behind the page.
func (v *visitor) overhear(event any) {
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if u, err := url.Parse(e.Request.URL); err != nil || u.Scheme+"://"+u.Host != v.home && u.Scheme != "data" {
			v.complain("a request left the site: " + e.Request.URL)
		}
	case *network.EventResponseReceived:
		// A page that says what is wrong has a status of 4xx; what a page loads must be there.
		if e.Response.Status >= 400 && e.Type != network.ResourceTypeDocument {
			v.complain(fmt.Sprintf("%s answered %d", e.Response.URL, e.Response.Status))
		}
	case *runtime.EventExceptionThrown:
		v.complain("a script failed: " + e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			v.complain(fmt.Sprintf("the console says: %v", e.Args))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork {
			v.complain("the console says: " + e.Entry.Text)
		}
	}
}

func (v *visitor) complain(what string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.complaints = append(v.complaints, what)
}

func (v *visitor) do(steps ...chromedp.Action[chromedp.Void]) {
	v.t.Helper()
	ctx, giveUp := context.WithTimeout(v.ctx, patience)
	defer giveUp()
	if err := chromedp.Do(ctx, steps...); err != nil {
		v.t.Fatal(err)
	}
}

// open types an address.
func (v *visitor) open(path string) {
	v.t.Helper()
	v.do(chromedp.Navigate(v.home + path))
}

// say is a text of the pages in the visitor's language.
func (v *visitor) say(key string, pairs ...any) string { return words.Say(v.lang, key, pairs...) }

// until asks the page again and again until it is content, and fails with what it saw last.
func (v *visitor) until(what string, content func() (bool, string)) {
	v.t.Helper()
	ctx, giveUp := context.WithTimeout(v.ctx, patience)
	defer giveUp()
	for {
		ok, saw := content()
		if ok {
			return
		}
		if clock.Wait(ctx, clock.System{}, clock.System{}.Now().Add(40*time.Millisecond)) != nil {
			v.t.Fatalf("waited in vain for %s; saw:\n%s", what, saw)
		}
	}
}

// sees waits until all of these texts are on the page.
func (v *visitor) sees(texts ...string) {
	v.t.Helper()
	for _, text := range texts {
		v.until(fmt.Sprintf("%q", text), func() (bool, string) {
			page := v.page()
			return strings.Contains(page, plain(text)), page
		})
	}
}

// seesNot tells that a text is not on the page.
func (v *visitor) seesNot(text string) {
	v.t.Helper()
	if page := v.page(); strings.Contains(page, plain(text)) {
		v.t.Fatalf("%q is on the page:\n%s", text, page)
	}
}

// page is everything that can be read, each space one space. Between two pages there is nothing.
func (v *visitor) page() string {
	return plain(peek[string](v, `document.body ? document.body.innerText : ""`))
}

func plain(s string) string { return strings.Join(strings.Fields(s), " ") }

// text is what an element holds.
func (v *visitor) text(selector string) string {
	v.t.Helper()
	return plain(peek[string](v, fmt.Sprintf(`(document.querySelector(%q) || {textContent: ""}).textContent`, selector)))
}

func (v *visitor) path() string {
	v.t.Helper()
	return ask[string](v, `location.pathname + location.search`)
}

// tap puts a finger on what bears a label: a link, a button, a summary.
func (v *visitor) tap(label string) {
	v.t.Helper()
	v.tapAt(labelled(label), label)
}

// labelled is the element that bears a label, as an expression.
func labelled(label string) string {
	return fmt.Sprintf(`Array.from(document.querySelectorAll("a, button, summary, label")).find(e => e.checkVisibility() &&
		e.textContent.replace(/\s+/g, " ").trim().includes(%q))`, plain(label))
}

// tapOn puts a finger on the first element of a selector.
func (v *visitor) tapOn(selector string) {
	v.t.Helper()
	v.tapAt(fmt.Sprintf(`document.querySelector(%q)`, selector), selector)
}

type spot struct {
	X, Y, Width, Height float64
	Covered             string
}

func (v *visitor) tapAt(element, name string) {
	v.t.Helper()
	at := v.spotOf(element, name)
	v.do(chromedp.TapXY(at.X, at.Y))
}

// spotOf brings an element into view and says where a finger would hit it.
func (v *visitor) spotOf(element, name string) (at spot) {
	v.t.Helper()
	v.until(name+" to tap", func() (bool, string) {
		at = peek[spot](v, `(() => {
			const e = `+element+`;
			if (!e) return {};
			e.scrollIntoView({block: "center", behavior: "instant"});
			const box = e.getClientRects()[0];
			if (!box) return {};
			const x = box.x + box.width / 2, y = box.y + box.height / 2, top = document.elementFromPoint(x, y);
			return {x, y, width: box.width, height: box.height, covered: !top || e.contains(top) || top.contains(e) ? "" : top.outerHTML.slice(0, 200)};
		})()`)
		return at.Width > 0, v.page()
	})
	if at.Covered != "" {
		v.t.Fatalf("%s cannot be tapped: it is under %s", name, at.Covered)
	}
	return at
}

// write fills in the field with a label, as on a phone: a tap, then key by key.
func (v *visitor) write(label, text string) {
	v.t.Helper()
	field := fmt.Sprintf(`(Array.from(document.querySelectorAll("label")).find(e => e.textContent.includes(%q)) || {}).control`, label)
	v.tapAt(field, label)
	v.until("the cursor in "+label, func() (bool, string) {
		return peek[bool](v, `document.activeElement === `+field), v.page()
	})
	_ = ask[bool](v, `document.activeElement.select() || true`)
	v.do(chromedp.KeyEvent(text))
}

// tapTwice puts a finger on a button and at once again on the same spot.
func (v *visitor) tapTwice(label string) {
	v.t.Helper()
	at := v.spotOf(labelled(label), label)
	v.do(chromedp.TapXY(at.X, at.Y), chromedp.TapXY(at.X, at.Y))
}

// submit taps a button and waits until another page has come, which may look the same.
func (v *visitor) submit(label string) {
	v.t.Helper()
	before := v.pageBorn()
	v.tap(label)
	v.until("the next page", func() (bool, string) {
		now := peek[float64](v, `document.readyState == "complete" ? performance.timeOrigin : 0`)
		return now != 0 && now != before, v.page()
	})
}

// pageBorn tells one loading of a page from the next.
func (v *visitor) pageBorn() float64 { v.t.Helper(); return ask[float64](v, `performance.timeOrigin`) }

// back is the device's back button, forward its opposite. Nothing is loaded when the browser still has the page.
func (v *visitor) back()    { v.t.Helper(); _ = ask[bool](v, `history.back() || true`) }
func (v *visitor) forward() { v.t.Helper(); _ = ask[bool](v, `history.forward() || true`) }

// peek is ask where there may be no page yet, between two of them; then it answers the zero value.
func peek[T any](v *visitor, expression string) (answer T) {
	ctx, giveUp := context.WithTimeout(v.ctx, patience)
	defer giveUp()
	answer, _ = chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	return answer
}

// ask evaluates an expression in the page.
func ask[T any](v *visitor, expression string) T {
	v.t.Helper()
	ctx, giveUp := context.WithTimeout(v.ctx, patience)
	defer giveUp()
	answer, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		v.t.Fatalf("%s: %v", expression, err)
	}
	return answer
}
