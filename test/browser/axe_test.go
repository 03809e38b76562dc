package browser

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"untether/internal/words"
)

// axeSource is npm's axe-core; without it the test is skipped.
func axeSource(t *testing.T) string {
	t.Helper()
	directory := os.Getenv("UNTETHER_NPM_AXE")
	if directory == "" {
		t.Skip("UNTETHER_NPM_AXE is not set: it names a directory where npm's axe-core 4.14.1 is installed")
	}
	for _, file := range []string{"node_modules/axe-core/axe.min.js", "axe.min.js"} {
		if raw, err := os.ReadFile(filepath.Join(directory, file)); err == nil {
			return string(raw)
		}
	}
	t.Fatalf("there is no axe.min.js in UNTETHER_NPM_AXE (%s)", directory)
	return ""
}

const axeRun = `axe.run(document, {runOnly: {type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}})
	.then(r => JSON.stringify({passes: r.passes.length,
		violations: r.violations.map(v => ({rule: v.id, help: v.help, nodes: v.nodes.map(n => n.html + "\n\t" + n.failureSummary)}))}))`

// violation is a rule that a page breaks.
type violation struct {
	Rule, Help string
	Nodes      []string
}

// accessible runs axe-core over the page as it is.
func (v *visitor) accessible(source, where string) {
	v.t.Helper()
	_ = ask[bool](v, `typeof axe !== "undefined" || (`+"() => {"+source+"}"+`)() || true`)
	raw, err := chromedp.Run(v.ctx, chromedp.Evaluate[string](axeRun, chromedp.EvalAwaitPromise))
	if err != nil {
		v.t.Fatal(err)
	}
	var found struct {
		Passes     int
		Violations []violation
	}
	if err := json.Unmarshal([]byte(raw), &found); err != nil {
		v.t.Fatal(err)
	}
	if found.Passes < 10 {
		v.t.Errorf("%s: only %d rules had anything to look at", where, found.Passes)
	}
	for _, f := range found.Violations {
		v.t.Errorf("%s breaks %s (%s):\n%s", where, f.Rule, f.Help, strings.Join(f.Nodes, "\n"))
	}
}

// TestAccessible holds every page and state, in both languages, by day and by night, against WCAG 2.2 AA.
func TestAccessible(t *testing.T) {
	source := axeSource(t)
	both(t, func(t *testing.T, lang words.Language) {
		c := newCountry(t)
		v := visit(t, c.URL(), device{language: lang, still: true})
		everyState(t, c, v, func(name string) {
			for _, d := range []device{{}, {dark: true}, {width: 1280, desktop: true}} {
				d.language, d.still = lang, true
				v.take(d)
				where := name
				if d.dark {
					where += " by night"
				} else if d.desktop {
					where += " on a desk"
				}
				v.accessible(source, where)
			}
			v.take(device{language: lang, still: true})
		})
	})
}
