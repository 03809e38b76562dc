// Package verification proves control of a number by a code sent to it, and keeps whoever guesses from getting far.
//
// A code has 6 digits, lives 5 minutes, opens one thing and bears 5 tries; a newer one replaces it. Failures are counted per
// number across codes, identity tries too, and each is counted before it is made, so that parallel guesses gain nothing.
// Wrong, expired, used and unknown codes have one answer. The same work is done for every well-formed number.
package verification

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"math/big"
	"time"

	"untether/internal/audit"
	"untether/internal/clock"
	"untether/internal/fault"
	"untether/internal/keys"
	"untether/internal/phone"
	"untether/internal/texts"
	"untether/internal/words"
	"untether/internal/work"
)

// Life and tries of one code.
const (
	Lifetime = 5 * time.Minute
	triesMax = 5
)

// Status of a code.
type Status string

// The statuses; only an open code can be used.
const (
	Open     Status = "open"
	Replaced Status = "replaced" // a newer one was sent
	Spent    Status = "spent"    // too many tries
	Used     Status = "used"
	Void     Status = "void" // the tenure ended
)

// Code is a code that was sent.
type Code struct {
	Subject   string
	ID        string
	Channel   string
	Hash      string // keyed, with the id
	Number    []byte // sealed
	Status    Status
	Tries     int
	Search    string // what it opened
	IssuedAt  time.Time
	ExpiresAt time.Time
}

// Tx is what verification needs of the storage, inside one transaction.
type Tx interface {
	work.Tx
	audit.Tx
	// LockLimits gives a number's limits (zero ones the first time) and keeps others from them until the transaction ends.
	LockLimits(ctx context.Context, subject string, now time.Time) (Limits, error)
	SaveLimits(ctx context.Context, l Limits) error
	// FindCode gives the code with the id, or false.
	FindCode(ctx context.Context, id string) (Code, bool, error)
	AddCode(ctx context.Context, c Code) error
	// SaveCode stores status, tries and search.
	SaveCode(ctx context.Context, c Code) error
	// ReplaceCodes makes every open code of the number a replaced one.
	ReplaceCodes(ctx context.Context, subject string) error
	// SpendBudget takes one from a named budget, or says how long to wait.
	SpendBudget(ctx context.Context, name string, r Rate, now time.Time) (wait time.Duration, err error)
}

// Store runs transactions.
type Store interface {
	Verification(ctx context.Context, fn func(context.Context, Tx) error) error
}

// Channel is a way in: who asks on people's behalf, and how much it may.
type Channel struct {
	ID      string
	Codes   Rate // codes asked for: a brake on one channel that tries many numbers
	Guesses Rate // wrong codes
}

// The rates of a channel that has none of its own.
var (
	CodesDefault   = Rate{Count: 600, Per: time.Minute, Burst: 1200}
	GuessesDefault = Rate{Count: 120, Per: time.Minute, Burst: 600}
)

// Verifier issues and checks codes.
type Verifier struct {
	Store     Store
	Keys      *keys.Ring
	Clock     clock.Clock
	Bells     *work.Bells
	ShortCode string // whom the texts come from
}

// The answers. Every way in which a code can be wrong has the same one.
var (
	ErrCode = fault.New(fault.Forbidden, "CODE_NOT_ACCEPTED",
		"The code was not accepted. Check it, or ask for a new one.")
	ErrTooMany = fault.New(fault.TooMany, "TOO_MANY_REQUESTS",
		"Too many requests. Wait for the time in Retry-After.")
	ErrIdentityLocked = fault.New(fault.TooMany, "IDENTITY_LOCKED",
		"Too many identity tries did not match. Searches of this number are locked for the time in Retry-After.")
)

// Ticket is the answer to a request for a code: alike for every number.
type Ticket struct {
	ID        string
	ExpiresAt time.Time
}

// Issue sends a code to a number. A caller that repeats a request under the same key (an Idempotency-Key; empty: none) for
// the same number gets the first ticket again, and nothing is sent.
func (v *Verifier) Issue(ctx context.Context, channel Channel, n phone.Number, lang words.Language, key string) (Ticket, error) {
	now := v.Clock.Now()
	subject := v.Keys.Subject(n)
	digits := newCode()
	c := Code{Subject: subject, ID: v.codeID(channel, subject, key), Channel: channel.ID, Status: Open, IssuedAt: now, ExpiresAt: now.Add(Lifetime)}
	c.Hash = v.Keys.Hash("code", c.ID, digits)
	c.Number = v.Keys.Seal(subject, []byte(n.E164()))
	item, err := v.text(c, n, digits, lang)
	if err != nil {
		return Ticket{}, err
	}
	err = v.Store.Verification(ctx, func(ctx context.Context, tx Tx) error {
		limits, err := tx.LockLimits(ctx, c.Subject, c.IssuedAt)
		if err != nil {
			return err
		}
		if key != "" {
			first, repeated, err := tx.FindCode(ctx, c.ID)
			if err != nil || repeated {
				c.ExpiresAt = first.ExpiresAt
				return err
			}
		}
		return v.issue(ctx, tx, channel, c, limits, item)
	})
	if err != nil {
		return Ticket{}, err
	}
	v.Bells.Ring(work.Texts)
	return Ticket{c.ID, c.ExpiresAt}, nil
}

// codeID makes an id; the same one for the same key, channel and number.
func (v *Verifier) codeID(channel Channel, subject, key string) string {
	if key == "" {
		return keys.NewID()
	}
	return v.Keys.Hash("code id", channel.ID, subject, key)[:idLength]
}

// idLength is the length of keys.NewID's ids.
const idLength = 16

func (v *Verifier) issue(ctx context.Context, tx Tx, channel Channel, c Code, limits Limits, item work.Item) error {
	if wait := limits.sendWait(c.IssuedAt); wait > 0 {
		return ErrTooMany.After(wait)
	}
	limits.send(c.IssuedAt)
	if err := tx.SaveLimits(ctx, limits); err != nil {
		return err
	}
	if err := tx.ReplaceCodes(ctx, c.Subject); err != nil {
		return err
	}
	if err := tx.AddCode(ctx, c); err != nil {
		return err
	}
	if err := tx.AddWork(ctx, []work.Item{item}); err != nil {
		return err
	}
	if err := tx.AddAudit(ctx, audit.Entry{At: c.IssuedAt, Actor: "channel:" + channel.ID, Action: "code.issued",
		Subject: c.Subject, Ref: c.ID}); err != nil {
		return err
	}
	return spend(ctx, tx, "codes/"+channel.ID, channel.Codes, c.IssuedAt) // last: the row is shared by the whole channel
}

func spend(ctx context.Context, tx Tx, name string, r Rate, now time.Time) error {
	wait, err := tx.SpendBudget(ctx, name, r, now)
	if err == nil && wait > 0 {
		err = ErrTooMany.After(wait)
	}
	return err
}

// text makes the item that sends the code. The digits are in its sealed payload and nowhere else.
func (v *Verifier) text(c Code, n phone.Number, digits string, lang words.Language) (work.Item, error) {
	key := work.Key{Subject: c.Subject, Ref: c.ID, Lane: work.Texts}
	payload, err := json.Marshal(texts.Payload{To: n.E164(), From: v.ShortCode, Reference: texts.ReferenceOf(c.ID),
		Text: words.Say(lang, "sms.code", "code", digits, "minutes", int(Lifetime.Minutes()))})
	if err != nil {
		return work.Item{}, err
	}
	return work.Item{Key: key, Kind: texts.KindCode, Payload: v.Keys.Seal(texts.SealContext(key), payload),
		Due: c.IssuedAt, Deadline: c.ExpiresAt}, nil
}

func newCode() string {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		panic(err) // the system has no randomness: nothing can go on
	}
	return fmt.Sprintf("%06d", n)
}

// Proof is what a right code proves.
type Proof struct {
	Code   Code
	Number phone.Number
}

// Replayed tells that the code opened a search before: the caller gets that one.
func (p Proof) Replayed() bool { return p.Code.Status == Used }

// Try checks a code. With a right one it reserves an identity try, which must be ended by Matched, Mismatched or
// Unanswered; a replay reserves none.
func (v *Verifier) Try(ctx context.Context, channel Channel, codeID, digits string) (Proof, error) {
	var proof Proof
	var refused error // committed, unlike an error: the try counts
	now := v.Clock.Now()
	err := v.Store.Verification(ctx, func(ctx context.Context, tx Tx) error {
		proof, refused = Proof{}, nil
		code, limits, err := v.lock(ctx, tx, codeID, now)
		if err != nil {
			return err
		}
		if wait := limits.lockWait(now); wait > 0 {
			return ErrTooMany.After(wait)
		}
		proof.Code, refused = judge(&code, &limits, v.Keys.Hash("code", code.ID, digits), now)
		if err := tx.SaveCode(ctx, code); err != nil {
			return err
		}
		if err := tx.SaveLimits(ctx, limits); err != nil {
			return err
		}
		if !fault.Is(refused, ErrCode.Code) {
			return nil
		}
		wait, err := tx.SpendBudget(ctx, "guesses/"+channel.ID, channel.Guesses, now)
		if wait > 0 { // the try counts all the same: undone, it would be a free guess
			refused = ErrTooMany.After(wait)
		}
		return err
	})
	if err != nil {
		return Proof{}, err
	}
	if refused != nil {
		return Proof{}, refused
	}
	proof.Number, err = v.open(proof.Code)
	return proof, err
}

// lock finds the code and its number's limits. The limits' row is what everyone who tries this number waits for; the code is
// read again behind it.
func (v *Verifier) lock(ctx context.Context, tx Tx, codeID string, now time.Time) (Code, Limits, error) {
	code, ok, err := tx.FindCode(ctx, codeID)
	if err != nil {
		return Code{}, Limits{}, err
	}
	if !ok {
		return Code{}, Limits{}, ErrCode
	}
	limits, err := tx.LockLimits(ctx, code.Subject, now)
	if err != nil {
		return Code{}, Limits{}, err
	}
	code, ok, err = tx.FindCode(ctx, codeID)
	if err == nil && !ok {
		err = ErrCode
	}
	return code, limits, err
}

// judge compares, and counts what was wrong in the code and in the number's limits.
func judge(c *Code, l *Limits, hash string, now time.Time) (Code, error) {
	usable := now.Before(c.ExpiresAt) && c.Tries < triesMax && (c.Status == Open || c.Status == Used)
	if subtle.ConstantTimeCompare([]byte(hash), []byte(c.Hash)) != 1 || !usable {
		c.Tries++
		if c.Tries >= triesMax && c.Status == Open {
			c.Status = Spent
		}
		l.fail(now)
		return Code{}, ErrCode
	}
	l.Failures = 0
	if c.Status == Used {
		return *c, nil
	}
	if wait := l.reserveIDTry(now); wait > 0 {
		return Code{}, ErrIdentityLocked.After(wait)
	}
	return *c, nil
}

func (v *Verifier) open(c Code) (phone.Number, error) {
	plain, err := v.Keys.Open(c.Subject, c.Number)
	if err != nil {
		return phone.Number{}, err
	}
	return phone.Parse(string(plain))
}

// Mismatched ends the identity try that Try reserved: the carrier said no. The code stays good.
func (v *Verifier) Mismatched(ctx context.Context, p Proof) error {
	return v.settle(ctx, p, "identity.mismatched", func(l *Limits, now time.Time) { l.idMismatch(now) })
}

// Unanswered gives the identity try back: the carrier could not be asked.
func (v *Verifier) Unanswered(ctx context.Context, p Proof) error {
	return v.settle(ctx, p, "identity.unanswered", func(l *Limits, _ time.Time) { l.idUnanswered() })
}

func (v *Verifier) settle(ctx context.Context, p Proof, action string, change func(*Limits, time.Time)) error {
	now := v.Clock.Now()
	return v.Store.Verification(ctx, func(ctx context.Context, tx Tx) error {
		limits, err := tx.LockLimits(ctx, p.Code.Subject, now)
		if err != nil {
			return err
		}
		change(&limits, now)
		if err := tx.SaveLimits(ctx, limits); err != nil {
			return err
		}
		return tx.AddAudit(ctx, audit.Entry{At: now, Actor: "channel:" + p.Code.Channel, Action: action,
			Subject: p.Code.Subject, Ref: p.Code.ID})
	})
}

// Matched ends the identity try well and uses the code up for a search, inside the transaction that stores the search.
// limits are what LockLimits gave in it.
func (v *Verifier) Matched(ctx context.Context, tx Tx, p Proof, limits Limits, search string) error {
	code, ok, err := tx.FindCode(ctx, p.Code.ID)
	if err != nil {
		return err
	}
	if !ok || code.Status == Void {
		return ErrCode
	}
	limits.idMatch()
	if err := tx.SaveLimits(ctx, limits); err != nil {
		return err
	}
	code.Status, code.Search = Used, search
	return tx.SaveCode(ctx, code)
}
