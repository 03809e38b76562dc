package portal

import (
	"context"
	"time"

	"untether/internal/ident"
	"untether/internal/phone"
	"untether/internal/words"
)

// Searches is what the pages need of the rules.
type Searches interface {
	// RequestCode sends a code by SMS and answers alike for every number.
	RequestCode(ctx context.Context, channel string, number phone.Number, lang words.Language) (CodeTicket, error)
	// Start proves code and identity and starts the search, or finds the one that is running.
	Start(ctx context.Context, channel string, r StartRequest) (Started, error)
	// Read gives a search to whoever holds its access token.
	Read(ctx context.Context, id, accessToken string) (Report, error)
}

// CodeTicket names a code that was asked for.
type CodeTicket struct {
	ID        string
	ExpiresAt time.Time
}

// StartRequest is what a person typed on the second page.
type StartRequest struct {
	CodeID   string
	Code     string
	LastSix  ident.LastSix
	Apps     []string // none: every app of the catalogue
	Language words.Language
}

// Started names a search and the token that reads it.
type Started struct {
	ID          string
	AccessToken string
}

// Report is a search as its person may see it.
type Report struct {
	ID          string
	Status      string // collecting, replied or void
	RequestedAt time.Time
	Deadline    time.Time
	RepliedAt   time.Time // zero until the one SMS was put on its way
	Number      phone.Number
	Apps        []AppReport
}

// AppReport is one app's answer, as counts.
type AppReport struct {
	App      string
	Status   string // pending, answered, late (answered after the reply was sent) or failed
	Accounts int    // bound within the present tenure
	Left     int    // bound before it
	Undated  int
}
