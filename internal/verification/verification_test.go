package verification_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"untether/internal/clock"
	"untether/internal/fault"
	"untether/internal/keys"
	"untether/internal/phone"
	"untether/internal/search"
	"untether/internal/store"
	"untether/internal/store/storetest"
	"untether/internal/texts"
	"untether/internal/verification"
	"untether/internal/words"
	"untether/internal/work"
)

var (
	ctx    = context.Background()
	number = phone.MustParse("+8613812345678")
	portal = verification.Channel{ID: "portal", Codes: verification.CodesDefault, Guesses: verification.GuessesDefault}
	start  = time.Date(2026, 3, 4, 5, 6, 7, 891_000_000, time.UTC)
)

// still is a clock that stands until it is set.
type still struct {
	clock.Clock
	now atomic.Int64
}

func (s *still) Now() time.Time          { return time.UnixMicro(s.now.Load()) }
func (s *still) advance(d time.Duration) { s.now.Add(d.Microseconds()) }

// desk is a verifier on a real store.
type desk struct {
	*verification.Verifier
	t     *testing.T
	db    *store.DB
	clock *still
}

func newDesk(t *testing.T, db *store.DB) *desk {
	t.Helper()
	ring, err := keys.New(make([]byte, keys.Size))
	if err != nil {
		t.Fatal(err)
	}
	c := &still{}
	c.now.Store(start.UnixMicro())
	return &desk{&verification.Verifier{Store: db, Keys: ring, Clock: c, Bells: &work.Bells{}, ShortCode: "10699000"}, t, db, c}
}

// each runs a test on a desk on every database.
func each(t *testing.T, test func(t *testing.T, d *desk)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, db *store.DB) { test(t, newDesk(t, db)) })
}

var sixDigits = regexp.MustCompile(`\b[0-9]{6}\b`)

// issue sends a code, at least a minute after the last one, and reads it from its text.
func (d *desk) issue() (id, digits string) {
	d.t.Helper()
	d.clock.advance(time.Minute)
	ticket, err := d.Issue(ctx, portal, number, words.En, "")
	if err != nil {
		d.t.Fatal(err)
	}
	return ticket.ID, d.read(ticket.ID, number)
}

// read takes the code's text from its lane, as the sender of texts would.
func (d *desk) read(id string, to phone.Number) (digits string) {
	d.t.Helper()
	err := d.db.Texts(ctx, func(ctx context.Context, tx texts.Tx) error {
		items, err := tx.LeaseWork(ctx, work.Texts, d.clock.Now(), d.clock.Now().Add(time.Hour), 100)
		for _, it := range items {
			if it.Ref != id {
				continue
			}
			plain, err := d.Keys.Open(texts.SealContext(it.Key), it.Payload)
			if err != nil {
				return err
			}
			var p texts.Payload
			if err := json.Unmarshal(plain, &p); err != nil {
				return err
			}
			if p.To != to.E164() || p.From != "10699000" || it.Kind != texts.KindCode || !it.Deadline.Equal(d.clock.Now().Add(verification.Lifetime)) {
				d.t.Errorf("a text of kind %s from %s until %v", it.Kind, p.From, it.Deadline)
			}
			digits = sixDigits.FindString(p.Text)
		}
		return err
	})
	if err != nil || digits == "" {
		d.t.Fatalf("code %s has no text: %v", id, err)
	}
	return digits
}

func wrong(digits string) string {
	if digits == "000000" {
		return "000001"
	}
	return "000000"
}

func (d *desk) try(id, digits string) (verification.Proof, error) {
	return d.Try(ctx, portal, id, digits)
}

// want fails the test when err has another public code; the empty code wants no error.
func (d *desk) want(err error, code string) {
	d.t.Helper()
	if code == "" && err != nil || code != "" && !fault.Is(err, code) {
		d.t.Fatalf("got %v, want %q", err, code)
	}
}

const (
	refused  = "CODE_NOT_ACCEPTED"
	tooMany  = "TOO_MANY_REQUESTS"
	idLocked = "IDENTITY_LOCKED"
)

// use is Matched in a transaction that has locked the limits, as its callers do.
func (d *desk) use(ctx context.Context, tx search.Tx, p verification.Proof, id string) error {
	limits, err := tx.LockLimits(ctx, p.Code.Subject, d.clock.Now())
	if err != nil {
		return err
	}
	return d.Matched(ctx, tx, p, limits, id)
}

// matched uses a proof up for a search.
func (d *desk) matched(p verification.Proof, id string) {
	d.t.Helper()
	err := d.db.Search(ctx, func(ctx context.Context, tx search.Tx) error { return d.use(ctx, tx, p, id) })
	if err != nil {
		d.t.Fatal(err)
	}
}

func TestTheRightCodeProvesTheNumber(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		id, digits := d.issue()
		p, err := d.try(id, digits)
		d.want(err, "")
		if p.Number != number || p.Code.ID != id || p.Replayed() || p.Code.Channel != "portal" {
			t.Errorf("proof %+v", p.Code)
		}
	})
}

// Every way in which a code can be wrong is one answer, to the letter.
func TestOneAnswer(t *testing.T) {
	ways := map[string]func(d *desk) (id, digits string){
		"unknown":   func(d *desk) (string, string) { return keys.NewID(), "123456" },
		"empty":     func(d *desk) (string, string) { return "", "" },
		"wrong":     func(d *desk) (string, string) { id, digits := d.issue(); return id, wrong(digits) },
		"too long":  func(d *desk) (string, string) { id, digits := d.issue(); return id, digits + "0" },
		"another's": func(d *desk) (string, string) { _, digits := d.issue(); return keys.NewID(), digits },
		"expired": func(d *desk) (string, string) {
			id, digits := d.issue()
			d.clock.advance(verification.Lifetime)
			return id, digits
		},
		"replaced":       func(d *desk) (string, string) { id, digits := d.issue(); d.issue(); return id, digits },
		"replaced wrong": func(d *desk) (string, string) { id, digits := d.issue(); d.issue(); return id, wrong(digits) },
		"used, wrong": func(d *desk) (string, string) {
			id, digits := d.issue()
			p, err := d.try(id, digits)
			d.want(err, "")
			d.matched(p, "search")
			return id, wrong(digits)
		},
		"spent": func(d *desk) (string, string) {
			id, digits := d.issue()
			for range 5 {
				_, err := d.try(id, wrong(digits))
				d.want(err, refused)
			}
			return id, digits
		},
	}
	each(t, func(t *testing.T, d *desk) {
		for name, way := range ways {
			id, digits := way(d)
			_, err := d.try(id, digits)
			f := fault.Of(err)
			if f.Kind != verification.ErrCode.Kind || f.Code != verification.ErrCode.Code || f.Message != verification.ErrCode.Message || f.RetryAfter != 0 {
				t.Errorf("%s: %+v", name, f)
			}
			d.clock.advance(time.Hour)
		}
	})
}

func TestExpiryAtTheInstant(t *testing.T) {
	for _, test := range []struct {
		after time.Duration
		code  string
	}{{verification.Lifetime - time.Microsecond, ""}, {verification.Lifetime, refused}} {
		each(t, func(t *testing.T, d *desk) {
			id, digits := d.issue()
			d.clock.advance(test.after)
			_, err := d.try(id, digits)
			d.want(err, test.code)
		})
	}
}

func TestFiveTriesACode(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		for tries, code := range map[int]string{4: "", 5: refused} {
			d.clock.advance(time.Hour)
			id, digits := d.issue()
			for range tries {
				_, err := d.try(id, wrong(digits))
				d.want(err, refused)
			}
			_, err := d.try(id, digits)
			d.want(err, code)
		}
	})
}

// A right code with a wrong ID stays good, within the identity tries.
func TestThreeWrongIDs(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		id, digits := d.issue()
		for range 3 {
			p, err := d.try(id, digits)
			d.want(err, "")
			if err := d.Mismatched(ctx, p); err != nil {
				t.Fatal(err)
			}
		}
		_, err := d.try(id, digits)
		d.want(err, idLocked)
		if wait := fault.Of(err).RetryAfter; wait != 24*time.Hour {
			t.Errorf("wait %v", wait)
		}
		d.clock.advance(24*time.Hour - time.Minute - time.Second)
		id, digits = d.issue() // a minute on
		_, err = d.try(id, digits)
		d.want(err, idLocked)
		if wait := fault.Of(err).RetryAfter; wait != time.Second {
			t.Errorf("wait %v", wait)
		}
		d.clock.advance(time.Second)
		_, err = d.try(id, digits)
		d.want(err, "")
	})
}

func TestAnUnansweredCarrierGivesTheTryBack(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		id, digits := d.issue()
		for range 10 {
			p, err := d.try(id, digits)
			d.want(err, "")
			if err := d.Unanswered(ctx, p); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A code opens one search; giving it again within its life gives that one, and costs no identity try.
func TestReplay(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		id, digits := d.issue()
		p, err := d.try(id, digits)
		d.want(err, "")
		d.matched(p, "the search")
		for range 5 {
			p, err := d.try(id, digits)
			d.want(err, "")
			if !p.Replayed() || p.Code.Search != "the search" {
				t.Fatalf("replay %+v", p.Code)
			}
		}
		d.clock.advance(verification.Lifetime)
		_, err = d.try(id, digits)
		d.want(err, refused)
	})
}

// A newer code replaces the older, and both count for the number: asking anew resets nothing. Five wrong tries a code and
// five codes an hour take twenty codes for a hundred.
// A used code still opens the search that it began, so it bears no more guesses than another one.
func TestFiveTriesAUsedCode(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		id, digits := d.issue()
		p, err := d.try(id, digits)
		d.want(err, "")
		d.matched(p, "the search")
		for range 5 {
			_, err := d.try(id, wrong(digits))
			d.want(err, refused)
		}
		_, err = d.try(id, digits)
		d.want(err, refused)
	})
}

func TestAHundredWrongInARow(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		var id, digits string
		for i := range 20 {
			if i%10 == 0 {
				d.clock.advance(24 * time.Hour)
			}
			d.clock.advance(20 * time.Minute)
			id, digits = d.issue()
			for range 5 {
				_, err := d.try(id, wrong(digits))
				d.want(err, refused)
			}
		}
		_, err := d.try(id, digits)
		d.want(err, tooMany)
		if wait := fault.Of(err).RetryAfter; wait != 24*time.Hour {
			t.Errorf("wait %v", wait)
		}
		d.clock.advance(24*time.Hour - time.Second)
		_, err = d.Issue(ctx, portal, number, words.En, "")
		d.want(err, tooMany)
		d.clock.advance(time.Second)
		id, digits = d.issue()
		_, err = d.try(id, digits)
		d.want(err, "")
	})
}

func TestARightCodeEndsTheRow(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		for i := range 30 { // 120 wrong ones, never 100 in a row
			d.clock.advance(3 * time.Hour)
			id, digits := d.issue()
			for range 4 {
				_, err := d.try(id, wrong(digits))
				d.want(err, refused)
			}
			if i%20 == 19 {
				p, err := d.try(id, digits)
				d.want(err, "")
				if err := d.Unanswered(ctx, p); err != nil {
					t.Fatal(err)
				}
			}
		}
		id, digits := d.issue()
		_, err := d.try(id, digits)
		d.want(err, "")
	})
}

// One channel that tries many numbers is braked; another is not, and the number is not charged for it.
func TestAChannelsBudget(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		narrow := portal
		narrow.ID, narrow.Codes = "narrow", verification.Rate{Count: 1, Per: time.Minute, Burst: 3}
		nth := func(i int) phone.Number { return phone.MustParse(fmt.Sprintf("+86138000000%02d", i)) }
		for i := range 3 {
			_, err := d.Issue(ctx, narrow, nth(i), words.En, "")
			d.want(err, "")
		}
		_, err := d.Issue(ctx, narrow, nth(3), words.En, "")
		d.want(err, tooMany)
		if wait := fault.Of(err).RetryAfter; wait != time.Minute {
			t.Errorf("wait %v", wait)
		}
		_, err = d.Issue(ctx, portal, nth(3), words.En, "")
		d.want(err, "")
	})
}

// A channel whose budget of guesses is spent: every guess still counts, so that a spent budget is no free one.
func TestASpentBudgetOfGuessesCountsThem(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		narrow := portal
		narrow.ID, narrow.Guesses = "narrow", verification.Rate{Count: 1, Per: time.Hour, Burst: 1}
		id, digits := d.issue()
		for i := range 5 {
			_, err := d.Try(ctx, narrow, id, wrong(digits))
			d.want(err, map[bool]string{true: refused, false: tooMany}[i == 0])
		}
		_, err := d.try(id, digits)
		d.want(err, refused)
	})
}

// The same key for the same number in the same channel gives the first ticket and sends nothing.
func TestRepeatedRequest(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		first, err := d.Issue(ctx, portal, number, words.En, "key")
		d.want(err, "")
		d.clock.advance(time.Second)
		again, err := d.Issue(ctx, portal, number, words.En, "key")
		d.want(err, "")
		if again.ID != first.ID || !again.ExpiresAt.Equal(first.ExpiresAt) {
			t.Errorf("first %+v, again %+v", first, again)
		}
		_, err = d.Issue(ctx, portal, number, words.En, "another key")
		d.want(err, tooMany)
		other, err := d.Issue(ctx, portal, phone.MustParse("+447700900123"), words.En, "key")
		d.want(err, "")
		if other.ID == first.ID {
			t.Error("two numbers have one code")
		}
	})
}

// What lies in the database does not hold the number or the code.
func TestNothingLiesOpen(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		id, digits := d.issue()
		p, err := d.try(id, digits)
		d.want(err, "")
		d.matched(p, "x")
		raw := storetest.SQL(t, d.db)
		for _, query := range []string{
			`SELECT id || ' ' || subject || ' ' || hash || ' ' || channel FROM codes`,
			`SELECT subject || ' ' || ref || ' ' || lane || ' ' || outcome FROM work`,
			`SELECT subject || ' ' || sent FROM number_limits`,
			`SELECT actor || ' ' || action || ' ' || subject || ' ' || ref || ' ' || detail FROM audit`,
		} {
			rows, err := raw.Query(query)
			if err != nil {
				t.Fatal(err)
			}
			for rows.Next() {
				var text string
				if err := rows.Scan(&text); err != nil {
					t.Fatal(err)
				}
				if strings.Contains(text, "13812345678") || regexp.MustCompile(`(^| )`+digits+`( |$)`).MatchString(text) {
					t.Errorf("%s gives %q", query, text)
				}
			}
			if err := errors.Join(rows.Err(), rows.Close()); err != nil {
				t.Fatal(err)
			}
		}
		for _, column := range []string{`SELECT number FROM codes`, `SELECT payload FROM work`} {
			var sealed []byte
			if err := raw.QueryRow(column).Scan(&sealed); err != nil || strings.Contains(string(sealed), "138") || strings.Contains(string(sealed), digits) {
				t.Errorf("%s: %q, %v", column, sealed, err)
			}
		}
	})
}

// When the tenure ended between the try and the match, the code opens nothing.
func TestAVoidCodeIsNotMatched(t *testing.T) {
	each(t, func(t *testing.T, d *desk) {
		id, digits := d.issue()
		p, err := d.try(id, digits)
		d.want(err, "")
		err = d.db.Verification(ctx, func(ctx context.Context, tx verification.Tx) error {
			c := p.Code
			c.Status = verification.Void
			return tx.SaveCode(ctx, c)
		})
		d.want(err, "")
		err = d.db.Search(ctx, func(ctx context.Context, tx search.Tx) error { return d.use(ctx, tx, p, "x") })
		d.want(err, refused)
		_, err = d.try(id, digits)
		d.want(err, refused)
	})
}
