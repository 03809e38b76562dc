package people

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"untether/internal/phone"
	"untether/internal/tenure"
)

// Carrier is a stand-in for one of the country's networks.
type Carrier struct {
	ID       string
	NameZhCN string
	NameEn   string
	Prefixes []string // beginnings of E.164 numbers whose blocks it owns
	percent  int      // of the people
	since    time.Time
}

// Carriers are the four networks. They bear real names so that people recognise the situation; they are programs.
var Carriers = []Carrier{
	{"mobile", "中国移动", "China Mobile", prefixes("134 135 136 137 138 139 147 150 151 152 157 158 159 178 182 183 184 187 188 195 198"), 52, day(1999, 1)},
	{"telecom", "中国电信", "China Telecom", prefixes("133 149 153 173 177 180 181 189 190 191 193 199"), 24, day(2002, 6)},
	{"unicom", "中国联通", "China Unicom", prefixes("130 131 132 145 155 156 166 175 176 185 186 196"), 20, day(2000, 1)},
	{"broadnet", "中国广电", "China Broadnet", prefixes("192"), 4, day(2022, 7)},
}

// portingSince is when the whole nation could take its numbers along.
var portingSince = day(2019, 12)

func prefixes(list string) []string {
	all := strings.Fields(list)
	for i := range all {
		all[i] = "+86" + all[i]
	}
	return all
}

func day(year int, month time.Month) time.Time { return time.Date(year, month, 1, 9, 0, 0, 0, Zone) }

// Shares of a thousand lines.
const (
	secondLinePermille  = 80
	frozenPermille      = 28
	onShelfPermille     = 18
	hadHolderPermille   = 290 // of the lines in service: somebody had the number before
	hadMorePermille     = 230 // of those: and somebody before that
	handedOverPermille  = 140 // of the changes of holder: transferred at once, not cancelled
	portedPermille      = 65
	suspendedPermille   = 45
	stillSuspendedOf    = 5 // of those: one in so many is suspended now
	restoredPermille    = 12
	newCardPermille     = 120
	freezeDays          = 90
	restsAtMostMoreDays = 640 // one to two years pass in practice
)

// lines gives everybody a number, some a second, and adds numbers that nobody holds now.
func (m *maker) lines() {
	people := len(m.country.People)
	for i := range people {
		m.line(i, tenure.InService)
		if m.permille(secondLinePermille) {
			m.line(i, tenure.InService)
		}
	}
	for range max(1, people*frozenPermille/1000) {
		m.line(m.rng.IntN(people), tenure.Frozen)
	}
	for range max(1, people*onShelfPermille/1000) {
		m.line(m.rng.IntN(people), tenure.OnShelf)
	}
}

// history writes one line's events backwards in time: the last tenure is drawn first, earlier ones before it.
type history struct {
	*maker
	line    *Line
	carrier Carrier
}

// line makes a number whose present or last holder is the person, and its history.
func (m *maker) line(holder int, state tenure.State) {
	carrier := m.carrier()
	number := m.free(carrier)
	l := &Line{Number: number, Block: carrier.ID, Holders: map[string]int{}}
	h := history{m, l, carrier}
	end := m.now
	switch state {
	case tenure.Frozen:
		end = m.daysAgo(m.now, 1, 130)
	case tenure.OnShelf:
		released := m.daysAgo(m.now, 1, 300)
		h.add(tenure.Released, released, "")
		end = m.daysAgo(released, freezeDays+1, 300)
	}
	start := h.begin(holder, end)
	id := h.held(holder)
	if state == tenure.InService {
		h.happenings(id, start)
	} else {
		h.add(tenure.Cancelled, end, id)
	}
	h.before(start, id)
	slices.SortStableFunc(l.Events, func(a, b tenure.Event) int { return a.At.Compare(b.At) })
	m.country.Lines = append(m.country.Lines, *l)
}

func (m *maker) carrier() Carrier {
	d, i := m.rng.IntN(100), 0
	for d >= Carriers[i].percent {
		d -= Carriers[i].percent
		i++
	}
	return Carriers[i]
}

func (m *maker) free(c Carrier) phone.Number {
	for {
		n := phone.MustParse(pick(m, c.Prefixes) + m.digits(8))
		if !m.taken[n] {
			m.taken[n] = true
			return n
		}
	}
}

// begin draws when a tenure that lasts until end began: long ago for many, for nobody before they were twelve.
func (h history) begin(holder int, end time.Time) time.Time {
	earliest := h.country.People[holder].Born.AddDate(12, 0, 0)
	if earliest.Before(h.carrier.since) {
		earliest = h.carrier.since
	}
	days := int(end.Sub(earliest).Hours() / 24)
	if days < 2 {
		return h.daysAgo(end, 1, 30)
	}
	share := h.rng.Float64()
	return h.daysAgo(end, 1, 1+int(float64(days)*share*share))
}

func (h history) add(t tenure.Type, at time.Time, id string) *tenure.Event {
	h.line.Events = append(h.line.Events, tenure.Event{Carrier: h.carrier.ID, Type: t, At: at, TenureID: id})
	return &h.line.Events[len(h.line.Events)-1]
}

// held names a tenure and its holder. How it began is for the caller to say.
func (h history) held(holder int) string {
	h.tenures++
	id := fmt.Sprintf("%s-%08d", h.carrier.ID[:1]+"t", h.tenures)
	h.line.Holders[id] = holder
	return id
}

// before writes how the tenure id began at start, and who had the number earlier.
func (h history) before(start time.Time, id string) {
	chance := hadHolderPermille
	if len(h.line.Holders) > 1 {
		chance = hadMorePermille
	}
	former := h.rng.IntN(len(h.country.People))
	handedOver := h.permille(handedOverPermille)
	end := start
	if !handedOver {
		end = h.daysAgo(start, freezeDays+2, freezeDays+2+restsAtMostMoreDays)
	}
	if !h.permille(chance) || !h.mayHaveHeld(former, end) || h.line.Holders[id] == former {
		h.add(tenure.Activated, start, id)
		return
	}
	formerStart := h.begin(former, end)
	formerID := h.held(former)
	if handedOver {
		h.add(tenure.Transferred, start, id)
	} else {
		h.add(tenure.Activated, start, id)
		rest := int(start.Sub(end).Hours()/24) - freezeDays
		h.add(tenure.Released, h.daysAgo(start, 0, rest), "")
		h.add(tenure.Cancelled, end, formerID)
	}
	h.before(formerStart, formerID)
}

func (h history) mayHaveHeld(former int, end time.Time) bool {
	return end.After(h.carrier.since.AddDate(0, 3, 0)) && age(h.country.People[former], end) >= 14
}

// happenings are what a present tenure went through without ending: porting, suspension, a change of mind, a new card.
func (h history) happenings(id string, start time.Time) {
	if h.permille(newCardPermille) {
		h.line.SIMChangedAt = h.between(start, h.now)
	}
	switch d := h.rng.IntN(1000); {
	case d < portedPermille && h.now.After(portingSince):
		at := h.between(later(start, portingSince), h.now)
		if receiver := h.otherCarrier(); at.After(receiver.since) {
			h.add(tenure.Ported, at, id).Receiving = receiver.ID
		}
	case d < portedPermille+suspendedPermille:
		at := h.between(start, h.now)
		h.add(tenure.Suspended, at, id)
		if h.rng.IntN(stillSuspendedOf) > 0 {
			h.add(tenure.Resumed, h.between(at, earlier(at.AddDate(0, 0, 60), h.now)), id)
		}
	case d < portedPermille+suspendedPermille+restoredPermille:
		at := h.between(start, h.now)
		h.add(tenure.Cancelled, at, id)
		h.add(tenure.Restored, h.between(at, earlier(at.AddDate(0, 0, freezeDays), h.now)), id)
	}
}

func (h history) otherCarrier() Carrier {
	for {
		if c := h.maker.carrier(); c.ID != h.carrier.ID {
			return c
		}
	}
}

// number gives every reporter's events their sequences in the order in which they happened.
func (m *maker) number() {
	var all []*tenure.Event
	for i := range m.country.Lines {
		for j := range m.country.Lines[i].Events {
			all = append(all, &m.country.Lines[i].Events[j])
		}
	}
	slices.SortStableFunc(all, func(a, b *tenure.Event) int {
		return cmp.Or(a.At.Compare(b.At), strings.Compare(a.Carrier, b.Carrier))
	})
	sequence := map[string]int64{}
	for _, e := range all {
		sequence[e.Carrier]++
		e.Sequence = sequence[e.Carrier]
	}
}

// daysAgo draws a moment within opening hours, from least to most days before at.
func (m *maker) daysAgo(at time.Time, least, most int) time.Time {
	d := at.AddDate(0, 0, -least)
	if most > least {
		d = at.AddDate(0, 0, -least-m.rng.IntN(most-least))
	}
	opening := time.Date(d.Year(), d.Month(), d.Day(), 8, 0, 0, 0, Zone)
	moment := opening.Add(time.Duration(m.rng.IntN(12*60*60)) * time.Second)
	if moment.After(d) {
		moment = moment.AddDate(0, 0, -1)
	}
	return moment
}

// between draws a moment after from and not after to.
func (m *maker) between(from, to time.Time) time.Time {
	seconds := int64(to.Sub(from) / time.Second)
	if seconds < 2 {
		return from.Add(time.Second)
	}
	return from.Add(time.Duration(1+m.rng.Int64N(seconds-1)) * time.Second)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
