package browser

import (
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"

	"untether/internal/words"
)

// call runs one command of the browser's protocol.
func call[P, R any](v *visitor, command cdp.Command[P, R], params P) R {
	v.t.Helper()
	result, err := chromedp.Call(v.ctx, command, params)
	if err != nil {
		v.t.Fatalf("%s: %v", command.Method, err)
	}
	return result
}

// keys types on a keyboard, wherever the cursor is.
func keys(s string) chromedp.Action[chromedp.Void] { return chromedp.KeyEvent(s) }

// both runs a test in each language.
func both(t *testing.T, f func(t *testing.T, lang words.Language)) {
	for _, lang := range words.Languages() {
		t.Run(string(lang), func(t *testing.T) { f(t, lang) })
	}
}

func contains(s string, any ...string) bool {
	return slices.ContainsFunc(any, func(part string) bool { return strings.Contains(s, part) })
}

// beginning is a sentence without what depends on the time of day.
func beginning(s string) string { return strings.TrimSpace(s) }
