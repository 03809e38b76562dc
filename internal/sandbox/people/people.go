// Package people makes up the inhabitants of the demo's country: who they are, which numbers they hold and held before,
// and which accounts at which apps are bound to those numbers.
//
// It guarantees that the same seed, instant and size give the same country to the last digit, that every identity
// document passes ident.ParseDocument and every history folds without an event kept aside, and that Count says what is
// true by the one rule. It does not guarantee that nobody in the world has such a number or such a document: all of it is
// drawn at random in the shape of real ones, so nothing made here may ever be sent anywhere but to loopback.
package people

import (
	"math/rand/v2"
	"time"

	"untether/internal/ident"
	"untether/internal/phone"
	"untether/internal/tenure"
)

// CountDefault is how many people a country has when nobody says otherwise.
const CountDefault = 2400

// Zone is the country's one time zone.
var Zone = time.FixedZone("CST", 8*60*60)

// Person is one inhabitant.
type Person struct {
	Name     string
	Document ident.Document
	Language string // "zh-CN" or "en"
	Born     time.Time
	woman    bool
	habit    float64 // how much of what others of that age use this person uses; 0 for those who use nothing
}

// Line is a number with all that ever happened to it.
type Line struct {
	Number       phone.Number
	Block        string         // the carrier that owns the number's block; a release returns it there
	Events       []tenure.Event // oldest first, with their reporters' sequences
	Holders      map[string]int // who held it: tenure id → index in Country.People
	SIMChangedAt time.Time      // when the card was last replaced; zero when never
}

// Account is an account at one app, bound to a number.
type Account struct {
	App        string
	ID         string // the app's own, unique within it
	Nickname   string
	Number     phone.Number
	Registered tenure.Mark // with Verified zero as well: the app knows no date
	Verified   tenure.Mark
	LastUsed   time.Time
}

// Country is everybody and everything at one instant.
type Country struct {
	MadeAt   time.Time
	People   []Person
	Lines    []Line
	Accounts []Account
	Sample   int // index in Lines of a number worth trying: several apps, several accounts in one, something left
}

// maker holds what is needed while a country is made.
type maker struct {
	rng      *rand.Rand
	now      time.Time
	taken    map[phone.Number]bool
	tenures  int
	accounts int
	country  *Country
}

// Make makes a country of n people (each holds at least one number) as it stands at now.
func Make(seed uint64, now time.Time, n int) *Country {
	now = now.In(Zone).Truncate(time.Second)
	m := &maker{rng: rand.New(rand.NewPCG(seed, 0x756e746574686572)), now: now,
		taken: map[phone.Number]bool{}, country: &Country{MadeAt: now}}
	for range n {
		m.country.People = append(m.country.People, m.person())
	}
	m.lines()
	m.number()
	for i := range m.country.Lines {
		m.bind(&m.country.Lines[i])
	}
	m.country.Sample = m.sample()
	return m.country
}

// Life is the line's state after all its events.
func (l Line) Life() tenure.Life {
	life, _ := tenure.Fold(l.Events, tenure.FreezeDefault)
	return life
}

// Counts is how many accounts of one app are bound to a number, as a search should answer.
type Counts struct {
	Accounts int `json:"accounts"` // bound within the present tenure
	Left     int `json:"left"`     // bound before it
	Undated  int `json:"undated"`  // nobody can tell
}

// Count applies the one rule to an app's bindings of a number whose present tenure began at start.
func Count(bindings []tenure.Binding, start time.Time) Counts {
	var c Counts
	for _, b := range bindings {
		switch tenure.Judge(b, start) {
		case tenure.Own:
			c.Accounts++
		case tenure.Left:
			c.Left++
		default:
			c.Undated++
		}
	}
	return c
}

// Binding is what the rule needs of an account.
func (a Account) Binding() tenure.Binding {
	return tenure.Binding{Verified: a.Verified, Registered: a.Registered}
}

// Truth counts every number in service: number → app → counts. Apps without any account of a number are not named.
func (c *Country) Truth() map[phone.Number]map[string]Counts {
	type key struct {
		number phone.Number
		app    string
	}
	bindings := map[key][]tenure.Binding{}
	for _, a := range c.Accounts {
		k := key{a.Number, a.App}
		bindings[k] = append(bindings[k], a.Binding())
	}
	truth := map[phone.Number]map[string]Counts{}
	for _, line := range c.Lines {
		if life := line.Life(); life.State == tenure.InService {
			truth[line.Number] = map[string]Counts{}
			for _, app := range Apps {
				if b := bindings[key{line.Number, app.ID}]; b != nil {
					truth[line.Number][app.ID] = Count(b, life.Tenure.Start)
				}
			}
		}
	}
	return truth
}

// sample finds the richest example: a Chinese speaker with several apps, several accounts in one, something left behind
// by a previous holder and nothing that would confuse a first visitor (a ported or suspended number).
func (m *maker) sample() int {
	truth := m.country.Truth()
	best, bestScore := 0, -1
	for i, line := range m.country.Lines {
		life := line.Life()
		if life.State != tenure.InService || life.Suspended || life.Carrier != line.Block {
			continue
		}
		score := exampleScore(truth[line.Number])
		if m.country.People[line.Holders[life.Tenure.ID]].Language == "zh-CN" && score > bestScore {
			best, bestScore = i, score
		}
	}
	return best
}

func exampleScore(apps map[string]Counts) int {
	several, left, undated := 0, 0, 0
	for _, c := range apps {
		several = max(several, c.Accounts)
		left += c.Left
		undated += c.Undated
	}
	score := min(len(apps), 9) + 3*min(several, 3) + 4*min(left, 3) + min(undated, 1)
	if len(apps) > 12 {
		score -= 5 // an app without any account belongs to a good example
	}
	return score
}
