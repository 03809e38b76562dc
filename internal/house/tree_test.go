package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const root = "../.."

// tracked lists every file of the repository, with slashes, relative to its root.
var tracked = sync.OnceValues(func() ([]string, error) {
	out, err := exec.Command("git", "-C", root, "ls-files", "-z").Output()
	if err == nil && len(out) > 0 {
		var names []string
		for _, name := range strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00") {
			if _, err := os.Stat(filepath.Join(root, name)); err == nil {
				names = append(names, name)
			}
		}
		return names, nil
	}
	return walked() // an archive without git
})

func walked() (names []string, err error) {
	err = filepath.WalkDir(root, func(name string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err = filepath.Rel(root, name)
		names = append(names, filepath.ToSlash(name))
		return err
	})
	return names, err
}

func files(t *testing.T, endings ...string) []string {
	t.Helper()
	all, err := tracked()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, name := range all {
		for _, ending := range endings {
			if strings.HasSuffix(name, ending) {
				found = append(found, name)
			}
		}
	}
	if len(found) == 0 {
		t.Fatalf("no file ends with any of %v: the rule checks nothing", endings)
	}
	return found
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func generated(name string) bool { return strings.HasSuffix(name, ".gen.go") }

// source is one parsed file of Go.
type source struct {
	name string // of the file
	set  *token.FileSet
	*ast.File
}

func (s source) folder() string { return path.Dir(s.name) }
func (s source) isTest() bool   { return strings.HasSuffix(s.name, "_test.go") }

func (s source) at(n ast.Node) string {
	return s.name + ":" + strconv.Itoa(s.set.Position(n.Pos()).Line)
}

// imports gives the import paths; those of this module without its name, as folders.
func (s source) imports() (own, others []string) {
	for _, spec := range s.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		if folder, ok := strings.CutPrefix(p, "untether/"); ok {
			own = append(own, folder)
		} else {
			others = append(others, p)
		}
	}
	return own, others
}

func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	for _, name := range files(t, ".go") {
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, name, read(t, name), parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, source{name, set, f})
	}
	return all
}

// inside tells whether a folder is, or lies below, one of some folders.
func inside(folder string, trees ...string) bool {
	for _, tree := range trees {
		if folder == tree || strings.HasPrefix(folder, tree+"/") {
			return true
		}
	}
	return false
}
