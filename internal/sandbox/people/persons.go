package people

import (
	"fmt"
	"math"
	"strings"
	"time"

	"untether/internal/ident"
)

// Shares of a thousand people by the document that they showed their carrier.
const (
	passportPermille           = 25
	foreignPermanentPermille   = 8
	hongKongMacaoPermille      = 9
	taiwanPermille             = 6
	residencePermitPermille    = 6 // 港澳台居民居住证
	usesNothingPermille        = 35
	usesNothingPermillePast70  = 250
	ageMin, ageMax             = 16, 88
	minorityPermilleOfChinese  = 30
	rareGivenNamePermille      = 6
	oneCharacterNamePermille   = 180
	repeatedCharacterPermille  = 50
	oldCardPermilleOfPermanent = 300
)

// ageBands are the ages of people with a phone: from, and the share of a hundred up to the next.
var ageBands = []struct{ from, percent int }{{16, 5}, {19, 11}, {25, 23}, {35, 21}, {45, 17}, {55, 13}, {65, 7}, {75, 3}}

// person draws one inhabitant.
func (m *maker) person() Person {
	p := Person{Language: "zh-CN", Born: m.birthday(), woman: m.rng.IntN(2) == 0}
	switch d := m.rng.IntN(1000); {
	case d < passportPermille:
		m.foreigner(&p, false)
	case d < passportPermille+foreignPermanentPermille:
		m.foreigner(&p, true)
	default:
		m.chinese(&p, d-passportPermille-foreignPermanentPermille)
	}
	p.habit = m.habit(p)
	return p
}

func (m *maker) chinese(p *Person, d int) {
	p.Name = m.chineseName(p)
	switch {
	case d < hongKongMacaoPermille:
		p.Document = document(string("HM"[m.rng.IntN(2)]) + m.digits(8))
	case d < hongKongMacaoPermille+taiwanPermille:
		p.Document = document(m.digits(8))
	case d < hongKongMacaoPermille+taiwanPermille+residencePermitPermille:
		p.Document = m.gb11643(pick(m, []string{"810000", "820000", "830000"}), *p)
	default:
		p.Document = m.gb11643(pick(m, regions), *p)
	}
}

func (m *maker) foreigner(p *Person, permanent bool) {
	nation := pick(m, nations)
	p.Language = "en"
	p.Name = pick(m, nation.women)
	if !p.woman {
		p.Name = pick(m, nation.men)
	}
	if nation.familyFirst {
		p.Name = pick(m, nation.families) + " " + p.Name
	} else {
		p.Name += " " + pick(m, nation.families)
	}
	place := pick(m, []string{"31", "11", "44", "33", "32", "51"})
	switch {
	case permanent && m.permille(oldCardPermilleOfPermanent):
		p.Document = document(nation.alpha3 + place + "00" + p.Born.Format("060102") + m.digits(2))
	case permanent:
		p.Document = m.gb11643("9"+place+nation.numeric, *p)
	default:
		p.Document = document(m.filled(nation.passport))
	}
}

// birthday draws an age from the bands and a day of that year of life.
func (m *maker) birthday() time.Time {
	d, band := m.rng.IntN(100), 0
	for d >= ageBands[band].percent {
		d -= ageBands[band].percent
		band++
	}
	to := ageMax
	if band+1 < len(ageBands) {
		to = ageBands[band+1].from
	}
	age := ageBands[band].from + m.rng.IntN(to-ageBands[band].from)
	born := m.now.AddDate(-age, 0, -m.rng.IntN(365))
	return time.Date(born.Year(), born.Month(), born.Day(), 0, 0, 0, 0, Zone)
}

// habit is how eagerly someone uses apps, around 1; some use none at all, more so in old age.
func (m *maker) habit(p Person) float64 {
	nothing := usesNothingPermille
	if age(p, m.now) > 70 {
		nothing = usesNothingPermillePast70
	}
	if m.permille(nothing) {
		return 0
	}
	return math.Max(0.25, math.Min(1.35, 0.95+0.25*m.rng.NormFloat64()))
}

func age(p Person, at time.Time) int { return int(at.Sub(p.Born).Hours() / 24 / 365.25) }

func (m *maker) chineseName(p *Person) string {
	if m.permille(minorityPermilleOfChinese) {
		if p.woman {
			return pick(m, minorityWomen)
		}
		return pick(m, minorityMen)
	}
	surname := m.surname()
	if m.permille(rareGivenNamePermille) {
		return surname + pick(m, rareGivenNames)
	}
	pool := givenNames(p.Born.Year(), p.woman)
	first, second := pick(m, pool.first), pick(m, pool.second)
	switch {
	case m.permille(oneCharacterNamePermille):
		return surname + second
	case p.woman && m.permille(repeatedCharacterPermille):
		return surname + second + second
	case first == second:
		return surname + second
	}
	return surname + first + second
}

// surname follows the census: five names are a third of the nation, the tail is long.
func (m *maker) surname() string {
	total := 0.0
	weight := func(rank int) float64 { return 1 / (float64(rank) + 2.5) }
	for i := range surnames {
		total += weight(i)
	}
	at := m.rng.Float64() * total
	for i, s := range surnames {
		if at -= weight(i); at < 0 {
			return s
		}
	}
	return surnames[0]
}

// gb11643 completes six digits of place with the day of birth, an order code (odd for men) and the check character.
func (m *maker) gb11643(place string, p Person) ident.Document {
	order := m.rng.IntN(499)*2 + 1
	if p.woman {
		order++
	}
	first17 := fmt.Sprintf("%s%s%03d", place, p.Born.Format("20060102"), order)
	check, err := ident.CheckDigit(first17)
	if err != nil {
		panic("people: a resident ID of the wrong length")
	}
	return document(first17 + string(check))
}

func document(number string) ident.Document {
	d, err := ident.ParseDocument(number)
	if err != nil {
		panic("people: a document that nobody issues")
	}
	return d
}

// filled replaces # by a digit and @ by a letter.
func (m *maker) filled(pattern string) string {
	var b strings.Builder
	for _, c := range pattern {
		switch c {
		case '#':
			b.WriteByte(byte('0' + m.rng.IntN(10)))
		case '@':
			b.WriteByte("CFGHJKLMNPRTVWXYZ"[m.rng.IntN(17)])
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

func (m *maker) digits(n int) string { return m.filled(strings.Repeat("#", n)) }

func (m *maker) permille(p int) bool { return m.rng.IntN(1000) < p }

func pick[T any](m *maker, from []T) T { return from[m.rng.IntN(len(from))] }
