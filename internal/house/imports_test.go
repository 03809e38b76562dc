package house

import (
	"slices"
	"strings"
	"testing"
)

// floors are the folders of docs/architecture.md from the ground up. A file that is no test imports from lower floors only,
// and on its own floor from its own tree, or from a folder that stands before it in a floor with an order.
var floors = []struct {
	name    string
	ordered bool
	trees   []string
}{
	{"documents", false, []string{"api"}},
	{"leaves", true, []string{"internal/fault", "internal/clock", "internal/phone", "internal/ident", "internal/keys"}},
	{"ground", true, []string{"internal/tenure", "internal/words", "internal/catalog"}},
	{"rules", true, []string{"internal/work", "internal/audit", "internal/access", "internal/texts", "internal/verification",
		"internal/registry", "internal/search"}},
	{"for others", false, []string{"connector"}},
	{"doors and adapters", false, []string{"internal/store", "internal/sms", "internal/carrier", "internal/portal", "internal/api", "internal/ops"}},
	{"composition", false, []string{"internal/hub", "internal/sandbox"}},
	{"programs' insides", false, []string{"internal/demo", "internal/connectcmd"}},
	{"program", false, []string{"cmd/untether"}},
	{"measures and journeys", false, []string{"bench", "internal/bench", "internal/endtoend", "internal/e2e", "internal/journey", "internal/house", "test", "tools"}},
}

// stand tells where a folder stands: its floor, and its place there.
func stand(folder string) (floor, place int, ok bool) {
	for i, f := range floors {
		for j, tree := range f.trees {
			if inside(folder, tree) {
				return i, j, true
			}
		}
	}
	return 0, 0, false
}

func TestImportsRunDownwards(t *testing.T) {
	for _, s := range sources(t) {
		if s.isTest() || !strings.Contains(s.name, "/") {
			continue
		}
		floor, place, ok := stand(s.folder())
		if !ok {
			t.Errorf("%s: %s has no place yet: give it one in floors here and in the table of docs/architecture.md", s.name, s.folder())
			continue
		}
		own, _ := s.imports()
		for _, folder := range own {
			f, p, ok := stand(folder)
			lower := f < floor || f == floor && (p == place || floors[f].ordered && p < place)
			if !ok || !lower {
				t.Errorf("%s imports %s: imports run downwards, and %s is %s while %s is %s", s.name, folder, s.folder(),
					floors[floor].name, folder, floors[f].name)
			}
		}
	}
}

var (
	leaves   = []string{"internal/fault", "internal/clock", "internal/phone", "internal/ident", "internal/keys"}
	rules    = []string{"internal/work", "internal/audit", "internal/access", "internal/texts", "internal/verification", "internal/registry", "internal/search"}
	doors    = []string{"internal/portal", "internal/api", "internal/ops"}
	adapters = []string{"internal/store", "internal/sms", "internal/carrier"}
)

// forbidden are imports that run downwards and are refused all the same. Own folders stand as they are, others by the
// beginning of their path.
var forbidden = []struct {
	from, to []string
	why      string
	except   []string
}{
	{from: []string{"connector"}, to: []string{"internal"}, except: []string{"internal/clock", "internal/phone", "internal/tenure"},
		why: "other people's programs import it: it may bring the one rule and the number, and nothing of a hub"},
	{from: []string{"internal/hub"}, to: []string{"connector"},
		why: "an app's side is not the hub's"},
	{from: []string{"internal/sandbox"}, to: []string{"internal/store", "internal/search", "internal/verification", "internal/registry", "internal/access", "internal/audit", "internal/hub"},
		why: "the country speaks with the hub over sockets, as real peers do"},
	{from: []string{"internal/demo", "internal/connectcmd", "cmd/untether"}, to: adapters, except: []string{"internal/sms"},
		why: "only the composition knows how things are stored, sent and asked; the demo says where its SMS centre is"},
	{from: []string{"cmd/untether"}, to: append(slices.Clone(doors), "internal/sandbox", "connector"),
		why: "flags, wiring and printing: what is more goes into a package that tests can call"},
	{from: leaves, to: []string{"internal/words", "internal/catalog", "internal/tenure"},
		why: "a leaf stands alone"},
	{from: append(append([]string{"internal/tenure", "internal/words", "internal/catalog"}, rules...), leaves...), to: []string{"net/http", "database/sql"},
		why: "rules are functions of values: they know neither requests nor tables"},
	{from: []string{"internal", "cmd", "bench"}, to: []string{"database/sql", "modernc.org/sqlite", "github.com/jackc/pgx", "github.com/pressly/goose"},
		except: []string{"internal/store", "internal/sandbox/apps", "bench"},
		why:    "one package speaks with the hub's database; the sandbox's apps have their own"},
	{from: []string{"internal", "cmd", "connector", "bench"}, to: []string{"github.com/linxGnu/gosmpp"}, except: []string{"internal/sms", "internal/sandbox/centre"},
		why: "SMPP is spoken at its two ends and nowhere else"},
	{from: []string{"internal", "connector", "bench"}, to: []string{"github.com/spf13/cobra", "golang.org/x/term"},
		why: "the command line is the command's"},
	{from: []string{"internal", "cmd", "connector", "bench"}, to: []string{"github.com/prometheus"}, except: []string{"internal/ops", "internal/hub"},
		why: "rules count with plain numbers; the composition shows them"},
	{from: []string{"internal", "cmd", "connector", "bench"}, to: []string{"math/rand"}, except: []string{"internal/sms", "connector", "internal/texts", "internal/sandbox", "bench", "internal/bench", "internal/api/contracttest", "internal/search", "internal/store"},
		why: "codes, tokens and keys come from crypto/rand; jitter and made-up people do not need it"},
}

func TestForbiddenImports(t *testing.T) {
	for _, s := range sources(t) {
		if s.isTest() {
			continue
		}
		own, others := s.imports()
		for _, f := range forbidden {
			if !inside(s.folder(), f.from...) || inside(s.folder(), f.except...) {
				continue
			}
			for _, p := range append(slices.Clone(own), others...) {
				if inside(p, f.to...) && !inside(p, f.except...) {
					t.Errorf("%s imports %s: %s", s.name, p, f.why)
				}
			}
		}
	}
}

// libraries are what leaves and ground may import that is not the standard library's.
var libraries = map[string]string{
	"github.com/nyaruka/phonenumbers":  "internal/phone/typed",
	"github.com/goccy/go-yaml":         "internal/words internal/catalog",
	"github.com/nicksnyder/go-i18n/v2": "internal/words",
	"golang.org/x/text":                "internal/words",
}

func TestLeavesStandOnTheStandardLibrary(t *testing.T) {
	used := map[string]bool{}
	for _, s := range sources(t) {
		if s.isTest() || !inside(s.folder(), append(slices.Clone(leaves), "internal/tenure", "internal/words", "internal/catalog")...) {
			continue
		}
		_, others := s.imports()
		for _, p := range others {
			if first, _, _ := strings.Cut(p, "/"); !strings.Contains(first, ".") {
				continue
			}
			allowed := false
			for library, folders := range libraries {
				if inside(p, library) && inside(s.folder(), strings.Fields(folders)...) {
					allowed, used[library] = true, true
				}
			}
			if !allowed {
				t.Errorf("%s imports %s: what everything stands on is the standard library's", s.name, p)
			}
		}
	}
	for library := range libraries {
		if !used[library] {
			t.Errorf("%s is an exception that nobody uses: take it out", library)
		}
	}
}

func TestEveryFloorIsInTheArchitecture(t *testing.T) {
	text := read(t, "docs/architecture.md")
	for _, f := range floors[1 : len(floors)-1] {
		for _, tree := range f.trees {
			if inside(tree, "internal/demo", "internal/connectcmd") { // insides of cmd/untether
				continue
			}
			if name := strings.TrimPrefix(tree, "internal/"); !strings.Contains(text, "`"+tree+"`") && !strings.Contains(text, "`"+name+"`") {
				t.Errorf("docs/architecture.md does not speak of %s", tree)
			}
		}
	}
}
