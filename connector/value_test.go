package connector

import (
	"testing"
	"time"
)

var shanghai = func() *time.Location {
	zone, err := time.LoadLocation(ZoneDefault)
	if err != nil {
		panic(err)
	}
	return zone
}()

func TestInstantOf(t *testing.T) {
	at := time.Date(2023, 5, 1, 8, 30, 0, 0, shanghai)
	day := Instant{time.Date(2023, 5, 1, 0, 0, 0, 0, shanghai), true}
	wall := time.Date(2023, 5, 1, 8, 30, 0, 0, time.UTC) // how drivers give a time without a zone
	tests := map[string]struct {
		value any
		kind  columnKind
		want  Instant
		bad   bool
	}{
		"NULL":                      {value: nil},
		"empty text":                {value: " "},
		"integer 0":                 {value: int64(0)},
		"timestamptz":               {value: at.UTC(), kind: columnExact, want: Instant{Time: at}},
		"timestamp":                 {value: wall, kind: columnLocal, want: Instant{Time: at}},
		"date":                      {value: wall.Truncate(24 * time.Hour), kind: columnDay, want: day},
		"seconds":                   {value: at.Unix(), want: Instant{Time: at}},
		"milliseconds":              {value: at.UnixMilli(), want: Instant{Time: at}},
		"the last second":           {value: int64(99_999_999_999), want: Instant{Time: time.Unix(99_999_999_999, 0)}},
		"the first millisecond":     {value: int64(100_000_000_000), want: Instant{Time: time.UnixMilli(100_000_000_000)}},
		"RFC 3339":                  {value: "2023-05-01T00:30:00Z", want: Instant{Time: at}},
		"RFC 3339 with an offset":   {value: "2023-05-01T08:30:00+08:00", want: Instant{Time: at}},
		"RFC 3339 with a fraction":  {value: "2023-05-01T08:30:00.000+08:00", want: Instant{Time: at}},
		"a space for the T":         {value: "2023-05-01 08:30:00+08:00", want: Instant{Time: at}},
		"PostgreSQL's text":         {value: "2023-05-01 00:30:00+00", want: Instant{Time: at}},
		"text without a zone":       {value: "2023-05-01 08:30:00", want: Instant{Time: at}},
		"T and no zone":             {value: "2023-05-01T08:30:00", want: Instant{Time: at}},
		"bytes":                     {value: []byte("2023-05-01 08:30:00"), want: Instant{Time: at}},
		"a day":                     {value: "2023-05-01", want: day},
		"microseconds":              {value: at.UnixMicro(), bad: true},
		"negative":                  {value: int64(-1), bad: true},
		"the year 1":                {value: time.Time{}, kind: columnExact, bad: true},
		"MySQL's zero":              {value: "0000-00-00", bad: true},
		"a placeholder in the text": {value: "1900-01-01", bad: true},
		"day first":                 {value: "01.05.2023", bad: true},
		"no such day":               {value: "2023-02-30", bad: true},
		"seconds as text":           {value: "1682901000", bad: true},
		"over-long":                 {value: "2023-05-01 08:30:00.000000000000000000000000000000000", bad: true},
		"a number with a fraction":  {value: 1.5, bad: true},
		"a truth":                   {value: true, bad: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := instantOf(test.value, test.kind, shanghai)
			if (err != nil) != test.bad {
				t.Fatalf("error %v, want one: %v", err, test.bad)
			}
			if !got.Time.Equal(test.want.Time) || got.DayOnly != test.want.DayOnly {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestNumberFormats(t *testing.T) {
	tests := []struct {
		format NumberFormat
		number string
		want   string
		holds  bool
	}{
		{E164, "+8613812345678", "+8613812345678", true},
		{Digits, "+8613812345678", "8613812345678", true},
		{National, "+8613812345678", "13812345678", true},
		{National, "+14155550100", "", false},
	}
	for _, test := range tests {
		got, holds := test.format.inTable(test.number, "86")
		if holds != test.holds || holds && got != test.want {
			t.Errorf("%s of %s: %q, %v", test.format, test.number, got, holds)
		}
	}
}

// Whatever text a table holds, it is read as the same day or instant that it says, or refused.
func FuzzInstantOfText(f *testing.F) {
	for _, s := range []string{"", "2023-05-01", "2023-05-01 08:30:00", "2023-05-01T08:30:00+08:00", "0000-00-00", "2023-05-01 00:30:00+00", "9999-12-31T23:59:59-23:59"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		i, err := instantOfText(s, shanghai)
		if err != nil {
			if !i.IsZero() {
				t.Errorf("an error and an instant from %q", s)
			}
			return
		}
		if i.IsZero() {
			return
		}
		again, err := instantOfText(i.Time.Format(time.RFC3339Nano), shanghai)
		if err != nil || !again.Time.Equal(i.Time) {
			t.Errorf("%q read as %v, which reads as %v (%v)", s, i.Time, again.Time, err)
		}
		if y := i.Time.UTC().Year(); y < yearMin-1 || y > yearMax {
			t.Errorf("%q gives the year %d", s, y)
		}
	})
}

func FuzzConcealed(f *testing.F) {
	f.Add("value +8613812345678 out of range")
	f.Fuzz(func(t *testing.T, s string) {
		got := concealed(errorText(s))
		if digitRun.MatchString(got) {
			t.Errorf("%q still holds a run of digits", got)
		}
		if n := len([]rune(got)); n > concealedLengthMax+1 {
			t.Errorf("%d characters", n)
		}
	})
}

type errorText string

func (e errorText) Error() string { return string(e) }
