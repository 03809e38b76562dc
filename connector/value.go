package connector

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Bounds that catch a wrong unit or a placeholder such as 0001-01-01 before it is counted as a date.
const (
	yearMin = 1970
	yearMax = 9999

	millisecondsFrom = 100_000_000_000     // 1e11: as seconds the year 5138, as milliseconds March 1973
	millisecondsMax  = 100_000_000_000_000 // 1e14: as milliseconds the year 5138; above it is microseconds
)

// columnKind is what a column's declared type says about its times.
type columnKind int

const (
	columnExact columnKind = iota // a time.Time from it is an instant (timestamptz)
	columnLocal                   // a time.Time from it is a wall clock without a zone (timestamp)
	columnDay                     // a time.Time from it is a day (date)
)

func kindOfColumn(databaseType string) columnKind {
	switch strings.ToUpper(databaseType) {
	case "TIMESTAMP", "DATETIME":
		return columnLocal
	case "DATE":
		return columnDay
	}
	return columnExact
}

// instantOf reads one value of verified_at or registered_at. NULL, an empty text and the integer 0 mean not known.
// zone is that of values without one. An error never repeats the value.
func instantOf(value any, kind columnKind, zone *time.Location) (Instant, error) {
	switch v := value.(type) {
	case nil:
		return Instant{}, nil
	case time.Time:
		return plausible(inZone(v, kind, zone))
	case int64:
		return instantOfInteger(v)
	case string:
		return instantOfText(v, zone)
	case []byte:
		return instantOfText(string(v), zone)
	}
	return Instant{}, fmt.Errorf("a value of type %T is not an instant; give a timestamp, a date, text or an integer", value)
}

func inZone(t time.Time, kind columnKind, zone *time.Location) Instant {
	if kind == columnExact {
		return Instant{Time: t}
	}
	y, m, d := t.Date()
	if kind == columnDay {
		return Instant{Time: time.Date(y, m, d, 0, 0, 0, 0, zone), DayOnly: true}
	}
	return Instant{Time: time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), zone)}
}

func plausible(i Instant) (Instant, error) {
	if y := i.Time.UTC().Year(); y < yearMin-1 || y > yearMax { // a local 1970-01-01 may still be 1969 in UTC
		return Instant{}, fmt.Errorf("an instant before %d or after %d is a placeholder, not a date; turn it into NULL in the query",
			yearMin, yearMax)
	}
	return i, nil
}

// instantOfInteger reads seconds since 1970, or milliseconds from 1e11 on.
func instantOfInteger(v int64) (Instant, error) {
	switch {
	case v == 0:
		return Instant{}, nil
	case v < 0 || v >= millisecondsMax:
		return Instant{}, errors.New("an integer must be seconds or milliseconds since 1970; convert it in the query")
	case v >= millisecondsFrom:
		return Instant{Time: time.UnixMilli(v)}, nil
	}
	return Instant{Time: time.Unix(v, 0)}, nil
}

const instantTextMax = 40

// instantOfText reads RFC 3339 (with T or a space), YYYY-MM-DD HH:MM:SS in zone, or YYYY-MM-DD as a day of zone.
func instantOfText(s string, zone *time.Location) (Instant, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return Instant{}, nil
	}
	if len(s) <= instantTextMax {
		if t, err := time.ParseInLocation(time.DateOnly, s, zone); err == nil {
			return plausible(Instant{Time: t, DayOnly: true})
		}
		for _, layout := range [...]string{
			time.RFC3339, "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z07", time.DateTime, "2006-01-02T15:04:05",
		} {
			if t, err := time.ParseInLocation(layout, s, zone); err == nil {
				return plausible(Instant{Time: t})
			}
		}
	}
	return Instant{}, errors.New("text must be RFC 3339, YYYY-MM-DD HH:MM:SS or YYYY-MM-DD; convert it in the query")
}

// textOf reads a value of phone_number or account: text or an integer. NULL is "".
func textOf(value any) (string, error) {
	switch v := value.(type) {
	case nil:
		return "", nil
	case string:
		return strings.TrimSpace(v), nil
	case []byte:
		return strings.TrimSpace(string(v)), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	}
	return "", fmt.Errorf("a value of type %T is neither text nor an integer", value)
}
