package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// chromiumNames are the names under which people install it.
var chromiumNames = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"}

// shared is the one browser of this package. Every visitor gets a profile of their own in it.
var shared struct {
	once  sync.Once
	ctx   context.Context
	close func()
	err   error
}

func TestMain(m *testing.M) {
	status := m.Run()
	if shared.close != nil {
		shared.close()
	}
	os.Exit(status)
}

var errNoChromium = errors.New("no chromium on the PATH: install it (Debian: apt install chromium) to test the pages in a browser")

// chromium is the running browser. Without one on the machine the test is skipped, but never in CI.
func chromium(t *testing.T) context.Context {
	t.Helper()
	shared.once.Do(func() { shared.ctx, shared.close, shared.err = startChromium() })
	switch {
	case errors.Is(shared.err, errNoChromium) && os.Getenv("CI") == "":
		t.Skip(shared.err)
	case shared.err != nil:
		t.Fatal(shared.err)
	}
	return shared.ctx
}

func startChromium() (context.Context, func(), error) {
	path := findChromium()
	if path == "" {
		return nil, nil, errNoChromium
	}
	profile, err := os.MkdirTemp("", "untether-chromium-")
	if err != nil {
		return nil, nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(profile), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("lang", "zh-CN"), chromedp.Flag("font-render-hinting", "none"))
	allocator, release := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	closeAll := func() {
		_ = chromedp.Cancel(ctx)
		cancel()
		release()
		_ = os.RemoveAll(profile)
	}
	if err := chromedp.Do(ctx); err != nil {
		closeAll()
		return nil, nil, fmt.Errorf("%s does not start: %w", path, err)
	}
	return ctx, closeAll, nil
}

func findChromium() string {
	for _, name := range chromiumNames {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}
