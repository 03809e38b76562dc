package people

import (
	"fmt"
	"math"
	"time"

	"untether/internal/tenure"
)

// App is how the people use one app.
type App struct {
	ID       string
	DayOnly  bool // its database keeps civil days, no instants
	since    int  // year
	share    [4]float64
	several  float64 // chance of each further account
	leftOpen float64 // chance that an account stays bound when its owner gives the number up
}

// Apps are the catalogue's apps in its order. share is the part of people with an account, at 20, 40, 60 and 80 years.
var Apps = []App{
	{"wechat", false, 2011, [4]float64{.98, .98, .88, .62}, .12, .30},
	{"qq", false, 2004, [4]float64{.84, .60, .20, .05}, .24, .55},
	{"taobao", false, 2005, [4]float64{.86, .82, .46, .16}, .12, .50},
	{"xianyu", false, 2014, [4]float64{.42, .26, .06, .01}, .05, .45},
	{"alipay", false, 2008, [4]float64{.93, .92, .60, .26}, .07, .35},
	{"baidu", true, 2006, [4]float64{.38, .46, .26, .10}, .08, .65},
	{"douyin", false, 2016, [4]float64{.74, .66, .50, .32}, .13, .50},
	{"toutiao", false, 2012, [4]float64{.18, .38, .42, .28}, .05, .65},
	{"kuaishou", true, 2013, [4]float64{.34, .32, .36, .22}, .10, .55},
	{"jd", false, 2008, [4]float64{.54, .62, .30, .09}, .06, .50},
	{"meituan", false, 2011, [4]float64{.82, .68, .30, .06}, .06, .50},
	{"dianping", false, 2007, [4]float64{.38, .38, .10, .02}, .04, .55},
	{"weibo", false, 2010, [4]float64{.60, .42, .12, .03}, .20, .65},
	{"pinduoduo", true, 2015, [4]float64{.58, .68, .62, .36}, .09, .50},
	{"xiaohongshu", false, 2014, [4]float64{.68, .40, .12, .02}, .13, .50},
	{"bilibili", false, 2010, [4]float64{.74, .34, .06, .01}, .08, .55},
}

const (
	severalMax             = 5
	undatedPermille        = 30
	neverVerifiedPermille  = 80  // the app knows only when the account was registered
	broughtAlongPermille   = 220 // registered with an earlier number, bound to this one later
	onFirstDayPermille     = 70  // the new card's first hours
	verifiedAgainPermille  = 550
	ownNumberTodayPermille = 150 // of accounts whose owner left: somebody verified once more just before the end
)

// bind draws the accounts that every holder of the line bound to it, as far as they still are.
func (m *maker) bind(line *Line) {
	life := line.Life()
	for _, past := range life.Past {
		// A cancelled number's former holder has not rebound everything either: frozen is like left.
		m.bindTenure(line, line.Holders[past.ID], past.Start, past.End, true)
	}
	if life.State == tenure.InService {
		m.bindTenure(line, line.Holders[life.Tenure.ID], life.Tenure.Start, m.now, false)
	}
}

func (m *maker) bindTenure(line *Line, holder int, start, end time.Time, over bool) {
	person := m.country.People[holder]
	for _, app := range Apps {
		from := later(start, time.Date(app.since, 3, 1, 10, 0, 0, 0, Zone))
		if m.rng.Float64() >= app.shareAt(age(person, end))*person.habit || !from.Before(end.Add(-time.Hour)) {
			continue
		}
		count := 1
		for count < severalMax && m.rng.Float64() < app.several {
			count++
		}
		for range count {
			if over && m.rng.Float64() >= app.leftOpen {
				continue
			}
			m.country.Accounts = append(m.country.Accounts, m.account(app, line, from, end, over))
		}
	}
}

// shareAt goes in straight lines between the four ages.
func (a App) shareAt(age int) float64 {
	at := math.Max(0, math.Min(2.999, (float64(age)-20)/20))
	i := int(at)
	return a.share[i] + (a.share[i+1]-a.share[i])*(at-float64(i))
}

func (m *maker) account(app App, line *Line, from, end time.Time, over bool) Account {
	m.accounts++
	a := Account{App: app.ID, ID: accountID(app.ID, m.accounts, m.rng.IntN(1000)), Nickname: m.nickname(), Number: line.Number}
	registered := m.between(from, end)
	if m.permille(onFirstDayPermille) {
		registered = m.between(from, earlier(end, from.Add(6*time.Hour)))
	}
	verified := registered
	switch {
	case m.permille(broughtAlongPermille):
		registered = m.between(from.AddDate(-4, 0, 0), from)
	case m.permille(verifiedAgainPermille):
		verified = m.between(registered, end)
	}
	if over && m.permille(ownNumberTodayPermille) {
		verified = m.between(later(verified, end.AddDate(0, 0, -20)), end)
	}
	a.LastUsed = m.between(verified, end)
	m.date(&a, app, registered, verified)
	return a
}

// date writes down what the app's database knows of the two instants.
func (m *maker) date(a *Account, app App, registered, verified time.Time) {
	if m.permille(undatedPermille) {
		return
	}
	mark := tenure.Instant
	if app.DayOnly {
		mark = tenure.Day
	}
	a.Registered = mark(registered)
	if !m.permille(neverVerifiedPermille) {
		a.Verified = mark(verified)
	}
}

// accountID is unique for every n; the salt only keeps neighbours from looking alike.
func accountID(app string, n, salt int) string {
	return fmt.Sprintf("%d%03d%06d", len(app), salt, n)
}

func (m *maker) nickname() string {
	if m.permille(350) {
		return pick(m, nicknamesWhole)
	}
	return pick(m, nicknameFronts) + pick(m, nicknameBacks)
}
