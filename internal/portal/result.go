package portal

import (
	"slices"
	"time"

	"untether/internal/catalog"
	"untether/internal/search"
	"untether/internal/words"
)

// result is a report as the page shows it.
type result struct {
	ID       string
	Stage    string // collecting, replied or void
	Number   string // masked
	AsOf     string
	Deadline string
	Seen     string
	Poll     int // seconds between two looks

	All         []row // every app, in order
	Own         []row // those that hold accounts of the person's own
	Before      []row // those that hold accounts left by a previous holder
	Unclear     []row // those that hold accounts without a date
	Clean       []row // those where nothing was found
	Silent      []row // those that did not answer, or not in a way that can be believed
	Answered    int
	Accounts    int
	Left        int
	Undated     int
	Sender      string // of the one text
	ServiceName string
	Menu        string
}

// row is one app's answer.
type row struct {
	ID       string
	Name     string
	Company  string
	Kind     string
	Badge    string
	State    string // pending, answered, late or failed
	Accounts int
	Left     int
	Undated  int
}

// Total is everything that was found at the app.
func (r row) Total() int { return r.Accounts + r.Left + r.Undated }

func (r row) isAnswered() bool { return r.State == "answered" || r.State == "late" }

// resultOf prepares a report for a page in a language.
func (p *Portal) resultOf(report search.Report, lang words.Language) result {
	v := result{
		ID: report.ID, Stage: stageOf(report, p.Clock.Now()), Number: maskedForPeople(report.Number),
		AsOf: words.Moment(lang, report.RequestedAt, p.Place), Deadline: words.Moment(lang, report.Deadline, p.Place),
		Sender: p.ShortCode, ServiceName: p.ServiceName.In(lang), Menu: p.Menu.In(lang),
	}
	if v.Stage == "collecting" {
		v.Poll = pollSeconds(p.Clock.Now().Sub(report.RequestedAt))
	}
	v.Seen = seenOf(report, v.Poll)
	for _, a := range report.Apps {
		v.add(p.rowOf(a, lang))
	}
	return v
}

func (v *result) add(r row) {
	v.All = append(v.All, r)
	if !r.isAnswered() {
		v.Silent = append(v.Silent, r)
		return
	}
	v.sort(r)
	v.Answered++
	v.Accounts += r.Accounts
	v.Left += r.Left
	v.Undated += r.Undated
}

// sort puts an answer into the lists where it is looked for: one app may hold accounts of several kinds.
func (v *result) sort(r row) {
	for _, list := range []struct {
		count int
		rows  *[]row
	}{{r.Accounts, &v.Own}, {r.Left, &v.Before}, {r.Undated, &v.Unclear}} {
		if list.count > 0 {
			*list.rows = append(*list.rows, r)
		}
	}
	if r.Total() == 0 {
		v.Clean = append(v.Clean, r)
	}
}

// rowOf names an app; one that left the catalogue since is shown by its id.
func (p *Portal) rowOf(a search.AppReport, lang words.Language) row {
	r := row{ID: a.App, Name: a.App, Badge: "·", State: string(a.Status), Accounts: a.Accounts, Left: a.Left, Undated: a.Undated}
	if app, ok := p.Catalog.Find(a.App); ok {
		r.Name, r.Company, r.Badge = app.Name.In(lang), app.Company.In(lang), app.Badge
		r.Kind = kindIn(app.Kind, lang)
	}
	return r
}

func kindIn(k catalog.Kind, lang words.Language) string { return words.Say(lang, "kind."+string(k)) }

// stageOf says which page a report is on. When nothing is open any more the person reads the result at once, while the
// text may still be on its way.
func stageOf(r search.Report, now time.Time) string {
	waiting := func(a search.AppReport) bool { return a.Status == search.Pending }
	if r.Status == search.Collecting && (!now.Before(r.Deadline) || !slices.ContainsFunc(r.Apps, waiting)) {
		return string(search.Replied)
	}
	return string(r.Status)
}

// pollSeconds asks often while answers pour in and seldom when only the slow ones are left.
func pollSeconds(since time.Duration) int {
	switch {
	case since < 30*time.Second:
		return 1
	case since < 5*time.Minute:
		return 4
	case since < time.Hour:
		return 20
	default:
		return 120
	}
}

// refreshSeconds is how often a page without scripts is loaded anew: less often, because it moves the reader's place.
func (v result) refreshSeconds() int {
	if v.Poll == 0 {
		return 0
	}
	return max(10, v.Poll)
}
