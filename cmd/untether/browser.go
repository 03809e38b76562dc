package main

import (
	"context"
	"os/exec"
	"runtime"
)

// openBrowser shows a page where there is a desktop, and does nothing where there is none. It never fails and never waits.
func openBrowser(ctx context.Context, url string, env func(string) string) {
	name, args := browserCommand(runtime.GOOS, url, env)
	if name == "" {
		return
	}
	c := exec.CommandContext(context.WithoutCancel(ctx), name, args...) // the browser outlives the demo
	if c.Start() == nil {
		go func() { _ = c.Wait() }()
	}
}

// browserCommand is how a system opens a page; an empty name means that nobody could see it.
func browserCommand(system, url string, env func(string) string) (name string, args []string) {
	switch system {
	case "darwin":
		return "open", []string{url}
	case "windows":
		return "rundll32", []string{"url.dll,FileProtocolHandler", url}
	}
	if env("DISPLAY") == "" && env("WAYLAND_DISPLAY") == "" {
		return "", nil
	}
	return "xdg-open", []string{url}
}
