package portal

import (
	"net/http"
	"strconv"
	"time"

	"untether/internal/fault"
	"untether/internal/words"
)

// problem is an error in a person's words.
type problem struct {
	Field  string // the form field at fault: phoneNumber, code or idLast6; "" for none
	Text   string
	Status int
}

// fields says which field a code is about.
var fields = map[string]string{
	"INVALID_ARGUMENT":     "",
	"CODE_NOT_ACCEPTED":    "code",
	"IDENTITY_NOT_MATCHED": "idLast6",
}

// told are the codes that have words of their own; every other is told as INTERNAL or by its kind.
var told = map[string]bool{
	"INVALID_ARGUMENT": true, "CODE_NOT_ACCEPTED": true, "IDENTITY_NOT_MATCHED": true, "IDENTITY_LOCKED": true,
	"CARRIER_UNAVAILABLE": true, "TOO_MANY_REQUESTS": true, "SEARCH_TOO_SOON": true, "NOT_FOUND": true, "INTERNAL": true,
	"NO_PAGE": true, "METHOD_NOT_ALLOWED": true, "CROSS_ORIGIN": true, "FORM": true, "STEP_LOST": true,
}

// byKind are the words for a code that the pages do not know yet.
var byKind = map[fault.Kind]string{
	fault.Invalid: "INVALID_ARGUMENT", fault.NotFound: "NOT_FOUND", fault.TooMany: "TOO_MANY_REQUESTS",
	fault.Unavailable: "CARRIER_UNAVAILABLE", fault.Unprocessable: "IDENTITY_NOT_MATCHED",
}

// problemOf translates an error for a person.
func (p *Portal) problemOf(err error, lang words.Language) problem {
	f := fault.Of(err)
	code := f.Code
	if !told[code] {
		code = "INTERNAL"
		if k, ok := byKind[f.Kind]; ok {
			code = k
		}
	}
	return problem{
		Field:  fields[code],
		Text:   words.Say(lang, "problem."+code, "again", p.again(f.RetryAfter, lang)),
		Status: statusOf(f),
	}
}

// again says when to come back: soon in units of time, later as a moment.
func (p *Portal) again(after time.Duration, lang words.Language) string {
	switch {
	case after <= 0:
		return words.Say(lang, "again.later")
	case after <= 90*time.Minute:
		return words.Say(lang, "again.in", "wait", words.Wait(lang, after))
	default:
		moment := p.Clock.Now().Add(after + time.Minute - 1).Truncate(time.Minute)
		return words.Say(lang, "again.at", "moment", words.Moment(lang, moment, p.Place))
	}
}

func statusOf(f *fault.Error) int {
	if f.Code == errMethod.Code {
		return http.StatusMethodNotAllowed
	}
	switch f.Kind {
	case fault.Invalid:
		return http.StatusBadRequest
	case fault.Unauthenticated:
		return http.StatusUnauthorized
	case fault.Forbidden:
		return http.StatusForbidden
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Conflict:
		return http.StatusConflict
	case fault.Unprocessable:
		return http.StatusUnprocessableEntity
	case fault.TooMany:
		return http.StatusTooManyRequests
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// setRetryAfter tells programs what the page tells people.
func setRetryAfter(h http.Header, err error) {
	if after := fault.Of(err).RetryAfter; after > 0 {
		h.Set("Retry-After", strconv.Itoa(int((after+time.Second-1)/time.Second)))
	}
}

// log writes down what was our own fault; what strangers get wrong is their business.
func (p *Portal) log(r *http.Request, err error) {
	if f := fault.Of(err); f.Kind == fault.Internal || f.Kind == fault.Unavailable {
		p.Log.ErrorContext(r.Context(), "page failed", "route", r.Pattern, "code", f.Code, "error", err)
	}
}

// fail answers with a page that is nothing but the problem.
func (p *Portal) fail(w http.ResponseWriter, r *http.Request, err error) {
	p.log(r, err)
	setRetryAfter(w.Header(), err)
	lang := p.Language(r)
	found := p.problemOf(err, lang)
	p.render(w, r, found.Status, "message", view{
		Title:   words.Say(lang, "message.title"),
		Here:    "/",
		Content: found,
	})
}
