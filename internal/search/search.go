// Package search is the main job: one person asks once and hears from every app.
//
// A search begins with a proof of the number (package verification) and the carrier's word that the ID belongs to its
// present tenure. It is put to every app; each answers how many accounts are bound within the tenure, left from before it,
// or undated. When all have answered, or at the deadline, one text tells everything. Every accepted search ends in that text,
// or becomes void because the tenure ended. ID digits live for one call and are never kept.
package search

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"untether/internal/audit"
	"untether/internal/catalog"
	"untether/internal/clock"
	"untether/internal/fault"
	"untether/internal/ident"
	"untether/internal/keys"
	"untether/internal/phone"
	"untether/internal/verification"
	"untether/internal/words"
	"untether/internal/work"
)

// Times of a search.
const (
	ReplyWithin   = 48 * time.Hour      // the deadline of the one reply
	ReadableFor   = 7 * 24 * time.Hour  // how long its access token reads; late answers are taken until then
	OneEvery      = 24 * time.Hour      // a tenure may search again after this
	LeaseDefault  = time.Minute         // how long an app may work on what it took
	RetentionTime = 30 * 24 * time.Hour // how long a search is kept
)

// Status of a search.
type Status string

// The statuses. Replying is told to strangers as collecting: the text is on its way but not yet handed over.
const (
	Collecting Status = "collecting"
	Replying   Status = "replying"
	Replied    Status = "replied"
	Void       Status = "void"
)

// Search is one search as it is stored.
type Search struct {
	Subject     string
	ID          string
	Tenure      string
	TenureStart time.Time
	Channel     string
	Language    words.Language
	Status      Status
	Apps        []string
	Number      []byte // sealed for the subject
	RequestedAt time.Time
	Deadline    time.Time
	RepliedAt   time.Time
}

// Key names a search.
type Key struct{ Subject, ID string }

// Tx is what searches need of the storage, inside one transaction.
type Tx interface {
	work.Tx
	audit.Tx
	verification.Tx
	AddSearch(ctx context.Context, s Search) error
	// FindSearch gives the search with the id, or false.
	FindSearch(ctx context.Context, id string) (Search, bool, error)
	// LatestSearch gives the newest search of a tenure, or false.
	LatestSearch(ctx context.Context, subject, tenure string) (Search, bool, error)
	// TenureEnded tells whether the number's carrier reported the tenure's end.
	TenureEnded(ctx context.Context, subject, tenure string) (bool, error)
	// BeginReplies makes those searches replying that are collecting and have no open task or a deadline not after now.
	BeginReplies(ctx context.Context, searches []Key, now time.Time) ([]Search, error)
	// Tasks gives the apps' items of each search, in order.
	Tasks(ctx context.Context, searches []Key) ([][]work.Item, error)
	// DueSearches gives up to max collecting searches whose deadline has passed, the most overdue first.
	DueSearches(ctx context.Context, now time.Time, max int) ([]Key, error)
	// AnsweredSearches gives up to max collecting searches that wait for nothing any more, of those whose deadline is from or
	// later, the earliest first.
	AnsweredSearches(ctx context.Context, from time.Time, max int) ([]Key, error)
	// NextDeadline is the earliest deadline of a collecting search; zero when there is none.
	NextDeadline(ctx context.Context) (time.Time, error)
}

// Store runs transactions.
type Store interface {
	Search(ctx context.Context, fn func(context.Context, Tx) error) error
	// ReadSearch runs fn on a view in which nothing may be written.
	ReadSearch(ctx context.Context, fn func(context.Context, Tx) error) error
}

// Match is a carrier's answer: whether the ID belongs to the number's present holder, and to which tenure.
type Match struct {
	Matched      bool
	TenureID     string
	TenureStart  time.Time
	SIMChangedAt time.Time
}

// ErrCarrierDown is what Carriers returns when the carrier could not be asked; the person is told to come back.
var ErrCarrierDown = fault.New(fault.Unavailable, "CARRIER_UNAVAILABLE",
	"The number's carrier cannot be reached right now. Nothing is lost: try again with the same code, or later.")

// Carriers asks the carrier that serves a number.
type Carriers interface {
	// Match asks whether the digits belong to the holder. A number that no connected carrier serves does not match.
	Match(ctx context.Context, n phone.Number, last ident.LastSix) (Match, error)
}

// Service runs searches.
type Service struct {
	Store    Store
	Keys     *keys.Ring
	Clock    clock.Clock
	Bells    *work.Bells
	Verifier *verification.Verifier
	Carriers Carriers
	Catalog  *catalog.Catalog
	Reply    ReplyStyle
	Lease    time.Duration // of apps' tasks; zero: LeaseDefault
	Log      *slog.Logger  // nil: none

	closer closer
	counts Counters
}

// Counters is what the service did since it was made.
type Counters struct{ Accepted, Closed, Nonsense atomic.Int64 }

// Counts gives the running counters.
func (s *Service) Counts() *Counters { return &s.counts }

// The refusals.
var (
	ErrIdentity = fault.New(fault.Forbidden, "IDENTITY_NOT_MATCHED",
		"The last six of the ID do not match the number's holder. The code stays good: check the ID and try again.")
	ErrTooSoon = fault.New(fault.TooMany, "SEARCH_TOO_SOON",
		"This number was searched within the last 24 hours. Wait for the time in Retry-After.")
	ErrNotFound = fault.New(fault.NotFound, "NOT_FOUND", "There is no such search, or it cannot be read any more.")
)

// Request is what a person asks.
type Request struct {
	CodeID   string
	Code     string
	LastSix  ident.LastSix
	Apps     []string // ids; empty: every app of the catalogue
	Language words.Language
}

// Started is a search that was accepted.
type Started struct {
	ID          string
	AccessToken string // reads the search for ReadableFor and never acts
	Status      Status // collecting, replied or void
	RequestedAt time.Time
	Deadline    time.Time
	Apps        []string
}

// RequestCode sends a code to a number; see verification.Verifier.Issue for the key.
func (s *Service) RequestCode(ctx context.Context, ch verification.Channel, n phone.Number, lang words.Language, key string) (verification.Ticket, error) {
	return s.Verifier.Issue(ctx, ch, n, lang, key)
}

// Start begins a search, or gives the one that runs already for this tenure.
func (s *Service) Start(ctx context.Context, ch verification.Channel, r Request) (Started, error) {
	apps, err := s.chosen(r.Apps)
	if err != nil {
		return Started{}, err
	}
	proof, err := s.Verifier.Try(ctx, ch, r.CodeID, r.Code)
	if err != nil {
		return Started{}, err
	}
	if proof.Replayed() {
		return s.replay(ctx, proof)
	}
	match, err := s.identify(ctx, proof, r.LastSix)
	if err != nil {
		return Started{}, err
	}
	return s.accept(ctx, ch, proof, match, apps, r.Language)
}

func (s *Service) chosen(ids []string) ([]string, error) {
	if len(ids) == 0 {
		return s.Catalog.IDs(), nil
	}
	seen := map[string]bool{}
	for _, id := range ids {
		if _, ok := s.Catalog.Find(id); !ok || seen[id] {
			return nil, fault.Invalidf("apps must hold ids from GET /v1/apps, each once.")
		}
		seen[id] = true
	}
	return ids, nil
}

func (s *Service) replay(ctx context.Context, p verification.Proof) (Started, error) {
	var found Search
	err := s.Store.ReadSearch(ctx, func(ctx context.Context, tx Tx) error {
		var ok bool
		var err error
		if found, ok, err = tx.FindSearch(ctx, p.Code.Search); err == nil && !ok {
			return verification.ErrCode
		}
		return err
	})
	return s.started(found), err
}

// identify asks the carrier and ends the identity try that was reserved, unless the answer is yes.
func (s *Service) identify(ctx context.Context, p verification.Proof, last ident.LastSix) (Match, error) {
	match, err := s.Carriers.Match(ctx, p.Number, last)
	settle := context.WithoutCancel(ctx)
	if err != nil {
		if err := s.Verifier.Unanswered(settle, p); err != nil {
			return Match{}, err
		}
		return Match{}, ErrCarrierDown.Because(err).After(time.Minute)
	}
	if !match.Matched {
		if err := s.Verifier.Mismatched(settle, p); err != nil {
			return Match{}, err
		}
		return Match{}, ErrIdentity
	}
	return match, nil
}

// accept stores the search with its tasks, in the transaction that uses the code up.
func (s *Service) accept(ctx context.Context, ch verification.Channel, p verification.Proof, m Match, apps []string, lang words.Language) (Started, error) {
	now := s.Clock.Now()
	fresh := Search{Subject: p.Code.Subject, ID: keys.NewID(), Tenure: m.TenureID, TenureStart: m.TenureStart, Channel: ch.ID,
		Language: lang, Status: Collecting, Apps: apps, Number: p.Code.Number, RequestedAt: now, Deadline: now.Add(ReplyWithin)}
	items, err := s.tasks(fresh, p.Number)
	if err != nil {
		return Started{}, err
	}
	got := fresh
	err = s.Store.Search(ctx, func(ctx context.Context, tx Tx) error {
		got = fresh
		// The lock on the number's limits makes two requests at once find each other's search, and the end of a tenure wait
		// for a search of it. So it comes first.
		limits, err := tx.LockLimits(ctx, fresh.Subject, now)
		if err != nil {
			return err
		}
		running, err := s.running(ctx, tx, fresh, now)
		if err != nil {
			return err
		}
		if running != nil {
			got = *running
			return s.Verifier.Matched(ctx, tx, p, limits, running.ID)
		}
		if err := s.Verifier.Matched(ctx, tx, p, limits, fresh.ID); err != nil {
			return err
		}
		if err := tx.AddSearch(ctx, fresh); err != nil {
			return err
		}
		if err := tx.AddWork(ctx, items); err != nil {
			return err
		}
		return tx.AddAudit(ctx, audit.Entry{At: now, Actor: "channel:" + ch.ID, Action: "search.accepted", Subject: fresh.Subject, Ref: fresh.ID})
	})
	if err != nil { // Matched was undone with the rest, so the identity try is still reserved
		if back := s.Verifier.Unanswered(context.WithoutCancel(ctx), p); back != nil {
			return Started{}, back
		}
		return Started{}, err
	}
	if got.ID == fresh.ID {
		s.counts.Accepted.Add(1)
		s.ring(items)
	}
	return s.started(got), nil
}

// running gives the search that a new one would repeat: one that still runs is shared, one that ended lately forbids another.
func (s *Service) running(ctx context.Context, tx Tx, fresh Search, now time.Time) (*Search, error) {
	ended, err := tx.TenureEnded(ctx, fresh.Subject, fresh.Tenure)
	if err != nil {
		return nil, err
	}
	if ended { // the carrier's own events say so: its answer is older than they are
		return nil, ErrIdentity
	}
	last, ok, err := tx.LatestSearch(ctx, fresh.Subject, fresh.Tenure)
	if err != nil || !ok || last.Status == Void {
		return nil, err
	}
	// One that nobody can read any more is not shared: its text could not be handed over in all that time.
	if (last.Status == Collecting || last.Status == Replying) && now.Before(last.RequestedAt.Add(ReadableFor)) {
		return &last, nil
	}
	if wait := last.RequestedAt.Add(OneEvery).Sub(now); wait > 0 {
		return nil, ErrTooSoon.After(wait)
	}
	return nil, nil
}

func (s *Service) ring(items []work.Item) {
	lanes := make([]string, len(items))
	for i, item := range items {
		lanes[i] = item.Lane
	}
	s.Bells.Ring(lanes...)
}

func (s *Service) started(x Search) Started {
	return Started{ID: x.ID, AccessToken: s.accessToken(x.ID), Status: public(x.Status), RequestedAt: x.RequestedAt,
		Deadline: x.Deadline, Apps: x.Apps}
}

// accessToken is derived, not stored, so that a replay of the request can return it.
func (s *Service) accessToken(id string) string { return s.Keys.Hash("access", id) }

func public(status Status) Status {
	if status == Replying {
		return Collecting
	}
	return status
}
