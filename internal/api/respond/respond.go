// Package respond is the one place where the doors read and write JSON. It guarantees that every answer has one form:
// JSON with a length, not to be cached, and for every failure {"status","code","message"} with a stable code; and that
// what Decode returns holds exactly what the document of the API allows to be said: no unknown, repeated, missing or null
// property, no wrong type, nothing beyond the given size, nothing after the end.
//
// A failure never repeats what was sent: it names the property, never the value. What the values mean (a number in
// E.164, a code of six digits) is not known here: the rules check that.
package respond

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"untether/internal/fault"
)

// Failures that only a door can see. Their statuses have no fault.Kind of their own.
var (
	ErrNotFound         = fault.New(fault.NotFound, "NOT_FOUND", "There is nothing here. The documents under /openapi/ list what there is.")
	ErrMethodNotAllowed = fault.New(fault.Invalid, "METHOD_NOT_ALLOWED", "This method is not offered here; the header Allow lists those that are.")
	ErrUnsupportedMedia = fault.New(fault.Invalid, "UNSUPPORTED_MEDIA_TYPE", "Send the body as application/json in UTF-8, uncompressed.")
	ErrTooLarge         = fault.New(fault.Invalid, "PAYLOAD_TOO_LARGE", "The body is larger than is read here; send smaller batches.")
)

var statusByCode = map[string]int{
	ErrMethodNotAllowed.Code: http.StatusMethodNotAllowed,
	ErrUnsupportedMedia.Code: http.StatusUnsupportedMediaType,
	ErrTooLarge.Code:         http.StatusRequestEntityTooLarge,
}

var statusByKind = map[fault.Kind]int{
	fault.Invalid:         http.StatusBadRequest,
	fault.Unauthenticated: http.StatusUnauthorized,
	fault.Forbidden:       http.StatusForbidden,
	fault.NotFound:        http.StatusNotFound,
	fault.Conflict:        http.StatusConflict,
	fault.Unprocessable:   http.StatusUnprocessableEntity,
	fault.TooMany:         http.StatusTooManyRequests,
	fault.Unavailable:     http.StatusServiceUnavailable,
}

// Failure is the body of every answer that is no success.
type Failure struct {
	Status  int    `json:"status"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Status is the HTTP status in which err is answered.
func Status(err error) int {
	f := fault.Of(err)
	if status, ok := statusByCode[f.Code]; ok {
		return status
	}
	if status, ok := statusByKind[f.Kind]; ok {
		return status
	}
	return http.StatusInternalServerError
}

// JSON writes v as the whole answer. A v that cannot be written as JSON is a mistake of ours and becomes a 500.
func JSON(w http.ResponseWriter, status int, v any) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		status = http.StatusInternalServerError
		body.Reset()
		_ = encoder.Encode(failureOf(err))
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // whoever asked may have gone: nothing is left to do
}

// Fail answers err: its public half to whoever asked, and what is ours to mend, with its cause, to the log. A 401 says
// Bearer in WWW-Authenticate; a RetryAfter is told in whole seconds, rounded up.
func Fail(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	record(r, log, err)
	failure := failureOf(err)
	setFailureHeaders(w.Header(), fault.Of(err), `Bearer realm="untether"`)
	JSON(w, failure.Status, failure)
}

func failureOf(err error) Failure {
	f := fault.Of(err)
	return Failure{Status: Status(f), Code: f.Code, Message: f.Message}
}

func setFailureHeaders(h http.Header, f *fault.Error, challenge string) {
	if f.RetryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(seconds(f.RetryAfter), 10))
	}
	if f.Kind == fault.Unauthenticated {
		h.Set("WWW-Authenticate", challenge)
	}
}

// seconds rounds up, so that nobody who obeys comes too early.
func seconds(d time.Duration) int64 { return int64((d-1)/time.Second) + 1 }

// record logs what an operator should see: our own failures with their cause, and peers that are down. A request refused
// for what it says is no event; one whose asker went away is none either.
func record(r *http.Request, log *slog.Logger, err error) {
	f := fault.Of(err)
	if f.Kind != fault.Internal && f.Kind != fault.Unavailable {
		return
	}
	level := slog.LevelError
	if f.Kind == fault.Unavailable {
		level = slog.LevelWarn
	}
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		level = slog.LevelDebug
	}
	log.LogAttrs(r.Context(), level, "request failed",
		slog.String("method", r.Method), slog.String("route", r.Pattern), slog.Int("status", Status(f)),
		slog.String("code", f.Code), slog.Any("cause", f.Cause), slog.String("correlator", CorrelatorOf(r.Context())))
}
