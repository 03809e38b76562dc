package portal

import (
	"context"

	"untether/internal/phone"
	"untether/internal/search"
	"untether/internal/verification"
	"untether/internal/words"
)

// Searches is what the pages need of the rules; *search.Service is one.
type Searches interface {
	// RequestCode sends a code by SMS and answers alike for every number.
	RequestCode(ctx context.Context, ch verification.Channel, n phone.Number, lang words.Language, key string) (verification.Ticket, error)
	// Start proves code and identity and starts the search, or finds the one that is running.
	Start(ctx context.Context, ch verification.Channel, r search.Request) (search.Started, error)
	// Read gives a search to whoever holds its access token.
	Read(ctx context.Context, id, accessToken string) (search.Report, error)
}
