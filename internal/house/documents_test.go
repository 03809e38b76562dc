package house

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)|<(?:img|a)[^>]+(?:src|href)="([^"]+)"`)
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`)
	fence   = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	inline  = regexp.MustCompile("`[^`\n]*`")
)

// anchors are the places in a document that a link can name, as the usual renderers make them of headings.
func anchors(text string) []string {
	var all []string
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		all = append(all, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, m[1]))
	}
	return all
}

func TestLinksLeadSomewhere(t *testing.T) {
	links := 0
	for _, name := range files(t, ".md") {
		text := inline.ReplaceAllString(fence.ReplaceAllString(read(t, name), ""), "")
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target := m[1] + m[2]
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			links++
			file, anchor, _ := strings.Cut(target, "#")
			to := name
			if file != "" {
				to = path.Join(path.Dir(name), file)
			}
			if _, err := os.Stat(filepath.Join(root, to)); err != nil {
				t.Errorf("%s leads to %s, which is not there", name, target)
				continue
			}
			if anchor != "" && !slices.Contains(anchors(read(t, to)), anchor) {
				t.Errorf("%s leads to %s, where no heading is called so", name, target)
			}
		}
	}
	if links < 10 {
		t.Errorf("only %d links were checked", links)
	}
}

// Every document can be reached from the first page.
func TestDocumentsAreLinked(t *testing.T) {
	reached, todo := map[string]bool{}, []string{"README.md"}
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		if reached[name] || !strings.HasSuffix(name, ".md") {
			continue
		}
		reached[name] = true
		for _, m := range link.FindAllStringSubmatch(read(t, name), -1) {
			file, _, _ := strings.Cut(m[1]+m[2], "#")
			to := path.Join(path.Dir(name), file)
			if info, err := os.Stat(filepath.Join(root, to)); err == nil && info.IsDir() {
				to = path.Join(to, "README.md")
			}
			if _, err := os.Stat(filepath.Join(root, to)); err == nil && !strings.Contains(file, "://") {
				todo = append(todo, to)
			}
		}
	}
	for _, name := range files(t, ".md") {
		if !reached[name] {
			t.Errorf("no link leads to %s", name)
		}
	}
}

// What a document names in code, as a path of this repository, is there.
func TestNamedFilesAreThere(t *testing.T) {
	named := regexp.MustCompile("`((?:internal|cmd|api|docs|deploy|connector|scripts|tools)/[A-Za-z0-9_./-]+)`")
	for _, name := range files(t, ".md") {
		for _, m := range named.FindAllStringSubmatch(read(t, name), -1) {
			if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
				t.Errorf("%s names %s, which is not there", name, m[1])
			}
		}
	}
}

var makeCall = regexp.MustCompile("(?m)(?:^|`)make ([a-z][a-z-]*)")

func TestNamedTargetsAreInTheMakefile(t *testing.T) {
	targets := regexp.MustCompile(`(?m)^([a-z][a-z-]*):.*## `)
	var known []string
	for _, m := range targets.FindAllStringSubmatch(read(t, "Makefile"), -1) {
		known = append(known, m[1])
	}
	for _, name := range files(t, ".md") {
		for _, m := range makeCall.FindAllStringSubmatch(read(t, name), -1) {
			if !slices.Contains(known, m[1]) {
				t.Errorf("%s says make %s, which the Makefile does not know", name, m[1])
			}
		}
	}
}
