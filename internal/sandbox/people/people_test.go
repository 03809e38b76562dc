package people

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"untether/internal/catalog"
	"untether/internal/ident"
	"untether/internal/phone"
	"untether/internal/tenure"
)

var now = time.Date(2026, 3, 10, 12, 0, 0, 0, Zone)

func TestSameSeedSameCountry(t *testing.T) {
	a, b := Make(7, now, 300), Make(7, now, 300)
	if !reflect.DeepEqual(a, b) {
		t.Error("the same seed made two countries")
	}
	if c := Make(8, now, 300); reflect.DeepEqual(a.Lines, c.Lines) || reflect.DeepEqual(a.People, c.People) {
		t.Error("another seed made the same country")
	}
}

func TestAppsAreTheCatalogues(t *testing.T) {
	var ids []string
	for _, a := range Apps {
		ids = append(ids, a.ID)
	}
	if want := catalog.Default().IDs(); !slices.Equal(ids, want) {
		t.Errorf("people use %v, the catalogue has %v", ids, want)
	}
}

func TestEveryHistoryFolds(t *testing.T) {
	for seed := range uint64(5) {
		c := Make(seed, now, 1000)
		seen := map[phone.Number]bool{}
		sequences := map[string]map[int64]bool{}
		tenures := map[string]bool{}
		for _, line := range c.Lines {
			life, aside := tenure.Fold(line.Events, tenure.FreezeDefault)
			if len(aside) > 0 || len(life.Breaches) > 0 {
				t.Fatalf("seed %d: aside %v, breaches %v", seed, aside, life.Breaches)
			}
			if seen[line.Number] {
				t.Fatalf("seed %d: a number twice", seed)
			}
			seen[line.Number] = true
			for id := range line.Holders {
				if tenures[id] || (life.Tenure.ID != id && !life.Ended(id)) {
					t.Fatalf("seed %d: tenure %s is another line's or did not happen", seed, id)
				}
				tenures[id] = true
			}
			for _, e := range line.Events {
				if sequences[e.Carrier] == nil {
					sequences[e.Carrier] = map[int64]bool{}
				}
				if e.Sequence < 1 || sequences[e.Carrier][e.Sequence] || e.At.After(now) {
					t.Fatalf("seed %d: sequence %d of %s used twice, or an event of tomorrow", seed, e.Sequence, e.Carrier)
				}
				sequences[e.Carrier][e.Sequence] = true
			}
		}
	}
}

func TestDocuments(t *testing.T) {
	c := Make(1, now, CountDefault)
	kinds := map[ident.Kind]int{}
	withX := 0
	for _, p := range c.People {
		d, err := ident.ParseDocument(p.Document.Number())
		if err != nil {
			t.Fatal("a document that does not parse")
		}
		kinds[d.Kind()]++
		if n := d.Number(); len(n) == 18 && n[17] == 'X' {
			withX++
		}
		foreign := d.Kind() == ident.Passport || d.Kind() == ident.ForeignPermanent || d.Kind() == ident.ForeignPermanentOld
		if foreign != (p.Language == "en") {
			t.Errorf("%s speaks %s", d.Kind(), p.Language)
		}
		if p.Name == "" || p.Document.LastSix().IsZero() {
			t.Error("a person without a name or a document")
		}
	}
	for kind, least := range map[ident.Kind]int{ident.ResidentID: 2000, ident.Passport: 30, ident.ForeignPermanent: 5,
		ident.ForeignPermanentOld: 1, ident.HongKongMacaoPermit: 8, ident.TaiwanPermit: 5} {
		if kinds[kind] < least {
			t.Errorf("%s: %d", kind, kinds[kind])
		}
	}
	if share := float64(withX) / float64(len(c.People)); share < 0.05 || share > 0.13 {
		t.Errorf("%.1f%% of the IDs end in X; one in eleven should", share*100)
	}
}

// What a visitor should meet in the default country, each as a share.
func TestDistributions(t *testing.T) {
	c := Make(1, now, CountDefault)
	truth := c.Truth()
	var inService, ported, frozen, shelf, none, several, withLeft, suspended, handedOver float64
	for _, line := range c.Lines {
		life := line.Life()
		switch life.State {
		case tenure.Frozen:
			frozen++
			continue
		case tenure.OnShelf:
			shelf++
			continue
		}
		inService++
		apps := truth[line.Number]
		if len(apps) == 0 {
			none++
		}
		if life.Carrier != line.Block {
			ported++
		}
		if life.Suspended {
			suspended++
		}
		if slices.ContainsFunc(line.Events, func(e tenure.Event) bool { return e.Type == tenure.Transferred }) {
			handedOver++
		}
		most, left := 0, 0
		for _, n := range apps {
			most, left = max(most, n.Accounts), left+n.Left
		}
		if most > 1 {
			several++
		}
		if left > 0 {
			withLeft++
		}
	}
	undated, young, old, youngAccounts, oldAccounts := 0.0, 0.0, 0.0, 0.0, 0.0
	perApp := map[string]int{}
	for _, a := range c.Accounts {
		if a.Registered.IsZero() && a.Verified.IsZero() {
			undated++
		}
		perApp[a.App]++
	}
	for _, line := range c.Lines {
		life := line.Life()
		if life.State != tenure.InService {
			continue
		}
		total := 0.0
		for _, n := range truth[line.Number] {
			total += float64(n.Accounts)
		}
		switch a := age(c.People[line.Holders[life.Tenure.ID]], now); {
		case a < 35:
			young, youngAccounts = young+1, youngAccounts+total
		case a > 65:
			old, oldAccounts = old+1, oldAccounts+total
		}
	}
	for _, share := range []struct {
		what          string
		got, low, top float64
	}{
		{"in service", inService, 2400, 2800},
		{"frozen", frozen, 30, 120},
		{"on shelf", shelf, 20, 80},
		{"ported", ported / inService, .03, .09},
		{"suspended now", suspended / inService, .003, .03},
		{"handed over", handedOver / inService, .01, .08},
		{"without any account", none / inService, .02, .12},
		{"several accounts in one app", several / inService, .35, .85},
		{"with something left by someone before", withLeft / inService, .10, .50},
		{"undated accounts", undated / float64(len(c.Accounts)), .02, .04},
		{"accounts of the young", youngAccounts / young, 6, 14},
		{"accounts of the old", oldAccounts / old, .5, 5},
	} {
		if share.got < share.low || share.got > share.top {
			t.Errorf("%s: %.3f, want %.3f to %.3f", share.what, share.got, share.low, share.top)
		}
		t.Logf("%s: %.3f", share.what, share.got)
	}
	if perApp["wechat"] < perApp["dianping"]*2 || perApp["alipay"] < perApp["xianyu"] {
		t.Errorf("nobody would believe %v", perApp)
	}
}

func TestSampleIsWorthTrying(t *testing.T) {
	for seed := range uint64(5) {
		c := Make(seed, now, CountDefault)
		line := c.Lines[c.Sample]
		apps := c.Truth()[line.Number]
		most, left := 0, 0
		for _, n := range apps {
			most, left = max(most, n.Accounts), left+n.Left
		}
		if len(apps) < 6 || most < 2 || left == 0 || line.Life().State != tenure.InService {
			t.Errorf("seed %d: %v", seed, apps)
		}
	}
}

func TestCount(t *testing.T) {
	start := now
	for name, c := range map[string]struct {
		b    tenure.Binding
		want Counts
	}{
		"own":           {tenure.Binding{Verified: tenure.Instant(now)}, Counts{Accounts: 1}},
		"left":          {tenure.Binding{Registered: tenure.Instant(now.Add(-1))}, Counts{Left: 1}},
		"no date":       {tenure.Binding{}, Counts{Undated: 1}},
		"the first day": {tenure.Binding{Verified: tenure.Day(now)}, Counts{Undated: 1}},
	} {
		if got := Count([]tenure.Binding{c.b}, start); got != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
