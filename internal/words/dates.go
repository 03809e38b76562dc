package words

import (
	"time"
)

// Date says a day as people read it in a place: "11月23日", "23 November".
func Date(lang Language, t time.Time, place *time.Location) string {
	t = t.In(place)
	return Say(lang, "date.day", "month", month(lang, t.Month()), "day", t.Day())
}

// Clock says the time of day in a place, on the 24-hour clock: "18:05".
func Clock(t time.Time, place *time.Location) string { return t.In(place).Format("15:04") }

// Moment says a day and the time of day: "11月23日 18:05", "23 November, 18:05".
func Moment(lang Language, t time.Time, place *time.Location) string {
	return Say(lang, "date.moment", "date", Date(lang, t, place), "clock", Clock(t, place))
}

func month(lang Language, m time.Month) any {
	if lang == En {
		return m.String()
	}
	return int(m)
}

// Wait says how long to wait in the unit that people would use, rounded up so that nobody comes too early:
// "40 秒", "5 分钟", "3 小时", "2 天".
func Wait(lang Language, d time.Duration) string {
	switch {
	case d <= 90*time.Second:
		return Say(lang, "wait.seconds", "count", max(1, unitsUp(d, time.Second)))
	case d <= 90*time.Minute:
		return Say(lang, "wait.minutes", "count", unitsUp(d, time.Minute))
	case d <= 48*time.Hour:
		return Say(lang, "wait.hours", "count", unitsUp(d, time.Hour))
	default:
		return Say(lang, "wait.days", "count", unitsUp(d, 24*time.Hour))
	}
}

func unitsUp(d, unit time.Duration) int { return int((d + unit - 1) / unit) }
