package connector

import (
	"regexp"
	"strings"
	"unicode"
)

// digitRun is anything that could be a phone number inside an error's text: databases like to quote the value that they
// could not take.
var digitRun = regexp.MustCompile(`\+?[0-9]{7,}`)

const concealedLengthMax = 500

// concealed is an error's text for a log: without digit runs, on one line, bounded.
func concealed(err error) string {
	return clipped(digitRun.ReplaceAllString(err.Error(), "****"), concealedLengthMax)
}

// clipped bounds what a stranger wrote, in characters, and drops what could break a line or colour a terminal.
func clipped(s string, most int) string {
	var b strings.Builder
	kept := 0
	for _, r := range s {
		if kept == most {
			b.WriteString("…")
			break
		}
		if unicode.IsControl(r) {
			r = ' '
		}
		b.WriteRune(r)
		kept++
	}
	return b.String()
}
