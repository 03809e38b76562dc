package store

import (
	"context"
	"fmt"
	"time"

	"untether/internal/audit"
	"untether/internal/search"
)

// Policy is how long things are kept. A zero field has the value that DefaultPolicy has there.
type Policy struct {
	Codes     time.Duration // after a code expired, with the text that carried it
	Searches  time.Duration // after a search was asked for, with its tasks and its reply
	TextParts time.Duration // after a part was handed to the SMS centre
	Tokens    time.Duration // after a token expired
	Audit     time.Duration // what the entries say, after they were sealed; that they were there is kept for good
}

// DefaultPolicy is what holds where an operator says nothing else.
func DefaultPolicy() Policy {
	const day = 24 * time.Hour
	return Policy{Codes: 2 * day, Searches: search.RetentionTime, TextParts: 30 * day, Tokens: day, Audit: 365 * day}
}

// limitsKeptFor is longer than every window and lock in a number's limits: forgetting them frees nobody. So it is no policy.
const limitsKeptFor = 48 * time.Hour

// Removed counts the rows that Prune took away.
type Removed struct {
	Codes, Searches, Work, TextParts, Tokens, Limits int64
	Audit                                            int64 // emptied, not removed
}

// pruneStep is about how many things one transaction takes away, so that nobody waits long for it. An audit batch goes as
// a whole.
const pruneStep = 500

// kept says for every table that Prune leaves alone why that may be.
var kept = map[string]string{
	"budgets":           "one row a channel and purpose, however long it runs",
	"number_events":     "the carriers' own word; a late event refolds a life from the beginning",
	"lives":             "one row a number: who holds it now",
	"carrier_marks":     "one row a carrier",
	"audit_checkpoints": "they prove that nothing was taken out of the trail; one a thousand entries",
	"goose_db_version":  "which migrations ran",
}

// pruning is one kind of thing that is taken away: the tables it empties, and a step, which tells whether there may be more.
type pruning struct {
	tables []string
	step   func(ctx context.Context, tx *Tx, p Policy, now time.Time, r *Removed) (more bool, err error)
}

var prunings = []pruning{
	{[]string{"codes", "work"}, pruneCodes},
	{[]string{"searches", "work"}, pruneSearches},
	{[]string{"text_parts"}, pruneOld(
		`DELETE FROM text_parts WHERE centre_id IN (SELECT centre_id FROM text_parts WHERE sent_at <= $1 ORDER BY sent_at LIMIT $2 %s)`,
		func(p Policy) time.Duration { return p.TextParts }, func(r *Removed) *int64 { return &r.TextParts })},
	{[]string{"tokens"}, pruneOld(
		`DELETE FROM tokens WHERE hash IN (SELECT hash FROM tokens WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 %s)`,
		func(p Policy) time.Duration { return p.Tokens }, func(r *Removed) *int64 { return &r.Tokens })},
	{[]string{"number_limits"}, pruneLimits},
	{[]string{"audit"}, pruneAudit},
}

// Prune takes away what was kept long enough, in steps of one short transaction each, and tells how much that was. After
// an error, or when ctx ends, what was removed until then stays removed. Each step leaves an entry in the trail.
func (db *DB) Prune(ctx context.Context, p Policy, now time.Time) (Removed, error) {
	p = p.orDefault()
	var total Removed
	for _, kind := range prunings {
		for more := true; more; {
			var step Removed
			err := db.Write(ctx, func(ctx context.Context, tx *Tx) (err error) {
				step = Removed{}
				if more, err = kind.step(ctx, tx, p, now, &step); err != nil || step == (Removed{}) {
					return err
				}
				return tx.AddAudit(ctx, audit.Entry{At: now, Actor: "hub", Action: "retention.pruned", Detail: step.String()})
			})
			if err != nil {
				return total, fmt.Errorf("%s cannot be pruned: %w", kind.tables[0], err)
			}
			total.add(step)
		}
	}
	return total, nil
}

func (p Policy) orDefault() Policy {
	d := DefaultPolicy()
	for _, f := range []struct{ have, otherwise *time.Duration }{
		{&p.Codes, &d.Codes}, {&p.Searches, &d.Searches}, {&p.TextParts, &d.TextParts}, {&p.Tokens, &d.Tokens}, {&p.Audit, &d.Audit},
	} {
		if *f.have == 0 {
			*f.have = *f.otherwise
		}
	}
	return p
}

// String is for the trail and the log.
func (r Removed) String() string {
	return fmt.Sprintf("codes %d, searches %d, work %d, text parts %d, tokens %d, limits %d, audit %d",
		r.Codes, r.Searches, r.Work, r.TextParts, r.Tokens, r.Limits, r.Audit)
}

func (r *Removed) add(o Removed) {
	r.Codes += o.Codes
	r.Searches += o.Searches
	r.Work += o.Work
	r.TextParts += o.TextParts
	r.Tokens += o.Tokens
	r.Limits += o.Limits
	r.Audit += o.Audit
}

func pruneCodes(ctx context.Context, tx *Tx, p Policy, now time.Time, r *Removed) (bool, error) {
	keys, err := tx.keysOf(ctx, `SELECT subject, id FROM codes WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 `+tx.skipLocked,
		micros(now.Add(-p.Codes)), pruneStep)
	if err != nil {
		return false, err
	}
	return len(keys) == pruneStep, tx.removeWithWork(ctx, `codes`, keys, &r.Codes, &r.Work)
}

// pruneSearches leaves a search that is not closed, or whose reply is still to be sent: after a hub was down for a month, the
// person still gets their text.
func pruneSearches(ctx context.Context, tx *Tx, p Policy, now time.Time, r *Removed) (bool, error) {
	keys, err := tx.keysOf(ctx, `SELECT subject, id FROM searches WHERE requested_at <= $1 AND status <> 'collecting' AND NOT EXISTS (
			SELECT 1 FROM work WHERE work.subject = searches.subject AND work.ref = searches.id AND work.lane = 'text' AND work.state = 'open')
		ORDER BY requested_at LIMIT $2 `+tx.skipLocked, micros(now.Add(-p.Searches)), pruneStep)
	if err != nil {
		return false, err
	}
	return len(keys) == pruneStep, tx.removeWithWork(ctx, `searches`, keys, &r.Searches, &r.Work)
}

func (tx *Tx) keysOf(ctx context.Context, query string, args ...any) ([]search.Key, error) {
	var keys []search.Key
	err := tx.all(ctx, func(row scanner) error {
		var k search.Key
		err := row.Scan(&k.Subject, &k.ID)
		keys = append(keys, k)
		return err
	}, query, args...)
	return keys, err
}

// removeWithWork removes rows of a table by subject and id, and the work that was for them.
func (tx *Tx) removeWithWork(ctx context.Context, table string, keys []search.Key, rows, work *int64) error {
	key := func(i int) []any { return []any{keys[i].Subject, keys[i].ID} }
	count := func(n *int64) func(int, scanner) error {
		return func(_ int, row scanner) error {
			*n++
			var one int
			return row.Scan(&one)
		}
	}
	err := tx.each(ctx, `DELETE FROM work WHERE subject = $1 AND ref = $2 RETURNING 1`, len(keys), key, count(work))
	if err != nil {
		return err
	}
	return tx.each(ctx, `DELETE FROM `+table+` WHERE subject = $1 AND id = $2 RETURNING 1`, len(keys), key, count(rows))
}

// pruneOld prunes a table by one instant. The query has $1 for the last instant that goes, $2 for how many may, and %s for
// the clause that passes over what another transaction holds.
func pruneOld(query string, keep func(Policy) time.Duration, count func(*Removed) *int64) func(context.Context, *Tx, Policy, time.Time, *Removed) (bool, error) {
	return func(ctx context.Context, tx *Tx, p Policy, now time.Time, r *Removed) (bool, error) {
		n, err := tx.exec(ctx, fmt.Sprintf(query, tx.skipLocked), micros(now.Add(-keep(p))), pruneStep)
		*count(r) = n
		return n >= pruneStep, err
	}
}

func pruneLimits(ctx context.Context, tx *Tx, _ Policy, now time.Time, r *Removed) (bool, error) {
	n, err := tx.exec(ctx, `DELETE FROM number_limits WHERE subject IN (
		SELECT subject FROM number_limits WHERE changed_at <= $1 AND locked_until <= $2 AND id_locked_until <= $2
		ORDER BY changed_at LIMIT $3 `+tx.skipLocked+`)`, micros(now.Add(-limitsKeptFor)), micros(now), pruneStep)
	r.Limits = n
	return n >= pruneStep, err
}

// pruneAudit empties the oldest whole batch, when it is old enough. The rows keep their ids and hashes, so that the chain
// can still be verified; the salt goes, so that nobody can guess what a hash was made of.
func pruneAudit(ctx context.Context, tx *Tx, p Policy, now time.Time, r *Removed) (more bool, err error) {
	var batch int64
	err = tx.all(ctx, func(row scanner) error {
		var at int64
		err := row.Scan(&batch, &at)
		more = at <= micros(now.Add(-p.Audit))
		return err
	}, `SELECT batch, at FROM audit_checkpoints WHERE pruned = FALSE ORDER BY batch LIMIT 1`)
	if err != nil || !more {
		return false, err
	}
	r.Audit, err = tx.exec(ctx, `UPDATE audit SET at = 0, actor = '', action = '', subject = '', ref = '', detail = '', salt = $1, pruned = TRUE
		WHERE batch = $2 AND pruned = FALSE`, []byte{}, batch)
	if err != nil {
		return false, err
	}
	_, err = tx.exec(ctx, `UPDATE audit_checkpoints SET pruned = TRUE WHERE batch = $1`, batch)
	return true, err
}
