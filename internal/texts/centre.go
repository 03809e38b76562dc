// Package texts sends text messages as durable work: it takes due texts from their lane, hands them to an SMS centre,
// records the receipts and sends again what failed. A text is never lost; it is sent twice only when the process died
// between handing it over and hearing so.
package texts

import (
	"context"
	"errors"
	"time"

	"untether/internal/phone"
)

// Outgoing is one text as a person reads it, however many parts the air needs.
type Outgoing struct {
	Reference uint16 // stays the same when the text is sent again, so that a handset can tell
	From      string // the short code
	To        phone.Number
	Text      string
}

// Centre hands texts to an SMS centre.
type Centre interface {
	// Submit hands over every part and returns the centre's message ids in order. After an error with ids, those parts were
	// taken before it failed. ErrRefused means that trying again is useless; any other error is worth a retry.
	Submit(ctx context.Context, o Outgoing) (ids []string, err error)
}

// ErrRefused is a centre's final no: it will not take this text to this number.
var ErrRefused = errors.New("the SMS centre refuses the text for good")

// Receipt is what the centre later says became of one part.
type Receipt struct {
	MessageID string
	Final     bool // no further receipt will come
	Delivered bool
	Status    string // the centre's word: DELIVRD, UNDELIV, EXPIRED …
	At        time.Time
}
