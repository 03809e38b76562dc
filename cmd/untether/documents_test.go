package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var (
	shell    = regexp.MustCompile("(?ms)^```sh\n(.*?)^```")
	flagLine = regexp.MustCompile(`(?m)^ *(?:-\w, )?(--[a-z-]+)`)
	quoted   = regexp.MustCompile("`(untether [^`]*|go run ./cmd/untether [^`]*)`")
)

// documents gives every text that people read, by name.
func documents(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "deploy/*"} {
		names, err := filepath.Glob("../../" + pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			all[strings.TrimPrefix(name, "../../")] = string(text)
		}
	}
	return all
}

// calls gives the words behind "untether" of every call of this program that a text shows.
func calls(text string) [][]string {
	var lines []string
	for _, block := range shell.FindAllStringSubmatch(text, -1) {
		lines = append(lines, strings.Split(block[1], "\n")...)
	}
	for _, m := range quoted.FindAllStringSubmatch(text, -1) {
		lines = append(lines, m[1])
	}
	for _, line := range strings.Split(text, "\n") {
		if _, call, ok := strings.Cut(line, "ExecStart="); ok {
			lines = append(lines, "untether "+strings.Join(strings.Fields(call)[1:], " "))
		}
	}
	var all [][]string
	for _, line := range lines {
		line, _, _ = strings.Cut(line, " #")
		words := strings.Fields(strings.Replace(line, "go run ./cmd/untether", "untether", 1))
		if len(words) > 0 && words[0] == "untether" {
			all = append(all, words[1:])
		}
	}
	return all
}

// Every call that a document shows names commands and flags that the program has.
func TestDocumentedCallsExist(t *testing.T) {
	checked := 0
	for name, text := range documents(t) {
		for _, words := range calls(text) {
			checked++
			c, rest, err := rootCommand().Find(words)
			if err != nil || c == c.Root() && len(words) > 0 && words[0] != "help" {
				t.Errorf("%s shows `untether %s`, which is no command", name, strings.Join(words, " "))
				continue
			}
			for _, word := range rest {
				flag, _, _ := strings.Cut(strings.TrimPrefix(word, "--"), "=")
				if strings.HasPrefix(word, "--") && c.Flags().Lookup(flag) == nil && flag != "help" {
					t.Errorf("%s shows %s, which %s does not have", name, word, c.CommandPath())
				}
			}
		}
	}
	if checked < 10 {
		t.Errorf("only %d calls were found", checked)
	}
}

// The two commands of both READMEs are the ones that tests and .ci/run do.
func TestReadmesShowTheTwoCommands(t *testing.T) {
	all := documents(t)
	for _, name := range []string{"README.md", "README.zh-CN.md"} {
		var shown []string
		for _, block := range shell.FindAllStringSubmatch(all[name], -1) {
			shown = append(shown, strings.TrimSpace(block[1]))
		}
		if want := []string{"go run ./cmd/untether demo", "go test ./..."}; !slices.Equal(shown, want) {
			t.Errorf("%s shows %q, want %q", name, shown, want)
		}
	}
	ci, err := os.ReadFile("../../.ci/run")
	if err != nil || !strings.Contains(string(ci), "\ngo test ./... ") {
		t.Errorf(".ci/run does not run the README's test command: %v", err)
	}
}

// Help says how a command is called; that must name every flag that it has.
func TestUsageNamesEveryFlag(t *testing.T) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, m := range flagLine.FindAllStringSubmatch(c.LocalNonPersistentFlags().FlagUsages(), -1) {
			if c.Runnable() && c != c.Root() && !strings.Contains(c.Use, m[1]) {
				t.Errorf("%s: the usage %q does not name %s", c.CommandPath(), c.Use, m[1])
			}
		}
		for _, below := range c.Commands() {
			walk(below)
		}
	}
	walk(rootCommand())
}
