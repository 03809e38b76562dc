// Package fault is the one error type that crosses package borders. It keeps what a stranger may read (a stable code and
// a sentence that says what to do) apart from the private cause, which goes to the log only.
//
// Rules return *fault.Error; the doors translate it in one place each. An error that is not a *fault.Error counts as
// internal: its text is never shown.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind says whose fault it is and so which HTTP status a door answers.
type Kind int

// The kinds, in the order of the HTTP status they become.
const (
	Internal        Kind = iota // 500: ours
	Invalid                     // 400: the request cannot be read or is out of bounds
	Unauthenticated             // 401: no credential, or none that is known
	Forbidden                   // 403: known, but not allowed; also every proof that did not hold
	NotFound                    // 404
	Conflict                    // 409: the state does not allow it
	Unprocessable               // 422: well-formed, but not for this subject
	TooMany                     // 429: a budget is spent; RetryAfter says when it is not
	Unavailable                 // 503: a peer is down; RetryAfter says when to come back
)

// Error is a failure with a public and a private half.
type Error struct {
	Kind       Kind
	Code       string        // stable, SCREAMING_SNAKE, listed in api/
	Message    string        // public: what happened and what to do; English, never holds a number or a secret
	RetryAfter time.Duration // for TooMany and Unavailable; zero means not known
	Cause      error         // private: for the log
}

// Error is for logs: it holds the cause.
func (e *Error) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.Cause)
	}
	return e.Code + ": " + e.Message
}

// Unwrap gives the private cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Cause }

// Because returns a copy that carries the private cause.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.Cause = cause
	return &c
}

// After returns a copy that tells the caller when to come back.
func (e *Error) After(d time.Duration) *Error {
	c := *e
	c.RetryAfter = d
	return &c
}

// New makes an error of a kind with its stable code and public sentence.
func New(kind Kind, code, message string) *Error {
	return &Error{Kind: kind, Code: code, Message: message}
}

// Invalidf makes the error for a request that cannot be taken, with the general code INVALID_ARGUMENT. The formatted
// text is public: it must not repeat what the stranger sent.
func Invalidf(format string, a ...any) *Error {
	return New(Invalid, "INVALID_ARGUMENT", fmt.Sprintf(format, a...))
}

// Of finds the *Error in err's chain; anything else becomes an Internal one with err as its private cause. Of(nil) is nil.
func Of(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Kind: Internal, Code: "INTERNAL", Message: "Something went wrong on our side. Please try again later.", Cause: err}
}

// Is tells whether err carries the stable code.
func Is(err error, code string) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}
