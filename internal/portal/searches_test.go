package portal

import (
	"context"
	"strings"
	"sync"
	"time"

	"untether/internal/catalog"
	"untether/internal/clock"
	"untether/internal/fault"
	"untether/internal/phone"
	"untether/internal/search"
	"untether/internal/verification"
	"untether/internal/words"
)

// memory is the rules as these tests need them: one right code, one right identity, and searches that the test sets.
type memory struct {
	mu       sync.Mutex
	clock    clock.Clock
	requests []phone.Number
	presses  []string
	started  []search.Request
	channel  string
	lang     words.Language
	codeErr  error // of the next RequestCode
	startErr error // of the next Start
	readErr  error // of every Read
	report   search.Report
}

const (
	rightCode  = "246810"
	rightLast  = "12345X"
	rightToken = "token-that-reads"
	theSearch  = "s-1"
)

func (m *memory) RequestCode(_ context.Context, channel verification.Channel, n phone.Number, l words.Language, key string) (verification.Ticket, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.codeErr != nil {
		return verification.Ticket{}, m.codeErr
	}
	m.requests, m.channel, m.lang = append(m.requests, n), channel.ID, l
	m.presses = append(m.presses, key)
	return verification.Ticket{ID: "code-1", ExpiresAt: m.clock.Now().Add(5 * time.Minute)}, nil
}

func (m *memory) Start(_ context.Context, _ verification.Channel, r search.Request) (search.Started, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.started = append(m.started, r)
	switch {
	case m.startErr != nil:
		return search.Started{}, m.startErr
	case r.CodeID != "code-1" || r.Code != rightCode:
		return search.Started{}, fault.New(fault.Forbidden, "CODE_NOT_ACCEPTED", "no")
	case r.LastSix.Reveal() != rightLast:
		return search.Started{}, fault.New(fault.Forbidden, "IDENTITY_NOT_MATCHED", "no")
	}
	return search.Started{ID: theSearch, AccessToken: rightToken}, nil
}

func (m *memory) Read(_ context.Context, id, token string) (search.Report, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.readErr != nil {
		return search.Report{}, m.readErr
	}
	if id != theSearch || token != rightToken {
		return search.Report{}, fault.New(fault.NotFound, "NOT_FOUND", "no")
	}
	return m.report, nil
}

// answers makes a report of the catalogue's apps: one letter each, . pending, x failed, l late, a digit that many
// accounts; L and U stand for something left and something undated beside one account.
func answers(now time.Time, status, pattern string) search.Report {
	r := search.Report{
		ID: theSearch, Status: search.Status(status), RequestedAt: now, Deadline: now.Add(48 * time.Hour),
		Number: phone.MustParse("+8613812345678"),
	}
	for i, id := range catalog.Default().IDs() {
		a := search.AppReport{App: id, Status: "answered"}
		switch c := pattern[i]; {
		case c == '.':
			a.Status = "pending"
		case c == 'x':
			a.Status = "failed"
		case c == 'l':
			a.Status, a.Accounts = "late", 1
		case c == 'L':
			a.Accounts, a.Left = 1, 2
		case c == 'U':
			a.Undated = 1
		case strings.ContainsRune("0123456789", rune(c)):
			a.Accounts = int(c - '0')
		}
		r.Apps = append(r.Apps, a)
	}
	return r
}
