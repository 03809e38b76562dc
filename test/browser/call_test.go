package browser

import (
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
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

const hour = time.Hour

// keys types on a keyboard, wherever the cursor is.
func keys(s string) chromedp.Action[chromedp.Void] { return chromedp.KeyEvent(s) }
