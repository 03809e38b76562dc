package house

import (
	"go/ast"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	said, folders := map[string]bool{}, map[string]string{}
	for _, s := range sources(t) {
		if s.isTest() && !strings.HasSuffix(s.Name.Name, "_test") || !s.isTest() {
			folders[s.folder()] = s.Name.Name
		}
		if s.isTest() || s.Doc == nil {
			continue
		}
		opening := "Package " + s.Name.Name + " "
		if s.Name.Name == "main" {
			opening = "Command "
		}
		if strings.HasPrefix(s.Doc.Text(), opening) {
			said[s.folder()] = true
		} else {
			t.Errorf("%s: the comment must begin with %q", s.name, opening)
		}
	}
	for folder, name := range folders {
		if !said[folder] {
			t.Errorf("%s: package %s does not say what it guarantees and what not", folder, name)
		}
	}
}

// clocks may look at the machine's own time.
var clocks = map[string]string{
	"internal/clock/clock.go": "it is the clock",
	"internal/ops/ops.go":     "measures durations of requests, which are no times of the country",
	"bench":                   "measures",
	"test":                    "waits for browsers and other programs",
	"internal/bench":          "measures",
}

var timeCalls = map[string]bool{"Now": true, "Sleep": true, "After": true, "AfterFunc": true, "Tick": true, "NewTimer": true, "NewTicker": true,
	"Since": true, "Until": true}

// Rules run on the injected clock; a test that needs time to pass moves that clock or runs in a bubble (testing/synctest).
func TestTimeComesFromTheClock(t *testing.T) {
	for _, s := range sources(t) {
		_, others := s.imports()
		bubble := s.isTest() && strings.Contains(strings.Join(others, " "), "testing/synctest")
		if clocks[s.name] != "" || clocks[s.folder()] != "" || inside(s.folder(), "test") || bubble {
			continue
		}
		ast.Inspect(s.File, func(n ast.Node) bool {
			if call, ok := n.(*ast.SelectorExpr); ok && timeCalls[call.Sel.Name] {
				if p, ok := call.X.(*ast.Ident); ok && p.Name == "time" {
					t.Errorf("%s: time.%s is the machine's: take a clock.Clock, or give a reason in clocks", s.at(call), call.Sel.Name)
				}
			}
			return true
		})
	}
	for name := range clocks {
		if strings.HasSuffix(name, ".go") && !strings.Contains(read(t, name), "time.Now") {
			t.Errorf("%s is an exception that it does not need", name)
		}
	}
}

const (
	linesMax     = 500
	testLinesMax = 700 // tables are long
	functionMax  = 80
)

func TestFilesAreShort(t *testing.T) {
	for _, name := range files(t, ".go", ".html", ".css", ".sql", ".md") {
		most := linesMax
		if strings.HasSuffix(name, "_test.go") {
			most = testLinesMax
		}
		if n := strings.Count(read(t, name), "\n"); n > most && !generated(name) {
			t.Errorf("%s has %d lines, more than %d: split it by meaning", name, n, most)
		}
	}
}

func TestFunctionsAreShort(t *testing.T) {
	for _, s := range sources(t) {
		if s.isTest() || generated(s.name) {
			continue
		}
		for _, d := range s.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := s.set.Position(f.End()).Line - s.set.Position(f.Pos()).Line; n > functionMax {
				t.Errorf("%s: %s has %d lines, more than %d", s.at(f), f.Name.Name, n, functionMax)
			}
		}
	}
}

var badNames = regexp.MustCompile(`(?i)^(utils?|common|helpers?|managers?|models?|misc|base|shared)$`)

func TestPackagesAreCalledWhatTheyAre(t *testing.T) {
	for _, s := range sources(t) {
		if badNames.MatchString(s.Name.Name) {
			t.Errorf("%s: package %s says nothing: call it what a carrier's or an app's engineer would", s.name, s.Name.Name)
		}
	}
}

// Whatever a person reads goes through package words, so that both languages have it.
func TestDoorsHaveNoWordsOfTheirOwn(t *testing.T) {
	const bothTogether = "catalog.Text{" // a default that stands in both languages
	for _, name := range files(t, ".go", ".html") {
		if !inside(name, doors...) || strings.HasSuffix(name, "_test.go") || generated(name) || inside(name, "internal/api/contracttest") {
			continue
		}
		for i, line := range strings.Split(read(t, name), "\n") {
			if strings.ContainsFunc(line, func(r rune) bool { return unicode.Is(unicode.Han, r) }) && !strings.Contains(line, bothTogether) {
				t.Errorf("%s:%d: Chinese outside of package words: %s", name, i+1, strings.TrimSpace(line))
			}
		}
	}
}

// A number or an identity that is formatted goes through its own masking; whoever needs it whole asks for it by name.
func TestOnlyFewAskForWholeNumbersOrIdentities(t *testing.T) {
	allowed := map[string][]string{
		"Reveal": {"internal/ident", "internal/carrier", "internal/sandbox"},
	}
	for _, s := range sources(t) {
		if s.isTest() {
			continue
		}
		ast.Inspect(s.File, func(n ast.Node) bool {
			if call, ok := n.(*ast.SelectorExpr); ok {
				if folders, guarded := allowed[call.Sel.Name]; guarded && !inside(s.folder(), folders...) {
					t.Errorf("%s: %s gives identity digits away; only the carrier is asked with them", s.at(call), call.Sel.Name)
				}
			}
			return true
		})
	}
}

// unspeakable are words that tell of the machine that something was made on. They are put together here so that this file
// does not hold them itself.
var unspeakable = regexp.MustCompile(`(^|[\s"'(=:\x60])/` + `(work|home/\w+|root|Users/\w+)/|/tmp/(brief|bash_jobs)|registry\.` + `npmjs\.org|proxy\.` + `golang\.org|` +
	`(deb|ftp)\.debian` + `\.org|pypi` + `\.org`)

func TestNothingTellsOfTheMachineItWasMadeOn(t *testing.T) {
	for _, name := range files(t, "") {
		if strings.HasSuffix(name, ".png") {
			continue
		}
		for i, line := range strings.Split(read(t, name), "\n") {
			if found := unspeakable.FindString(line); found != "" {
				t.Errorf("%s:%d: %q has no business here", name, i+1, strings.TrimSpace(found))
			}
		}
	}
}
