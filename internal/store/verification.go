package store

import (
	"context"
	"strconv"
	"strings"
	"time"

	"untether/internal/verification"
)

// Verification runs a transaction of package verification.
func (db *DB) Verification(ctx context.Context, fn func(context.Context, verification.Tx) error) error {
	return db.Write(ctx, func(ctx context.Context, tx *Tx) error { return fn(ctx, tx) })
}

// LockLimits gives a number's limits. It writes the row, so that others wait for it until the transaction ends.
func (tx *Tx) LockLimits(ctx context.Context, subject string, now time.Time) (verification.Limits, error) {
	l := verification.Limits{Subject: subject}
	err := tx.one(ctx, func(row scanner) error {
		var sent string
		var locked, idLocked int64
		if err := row.Scan(&sent, &l.Failures, &locked, &l.IDTries, &idLocked); err != nil {
			return err
		}
		l.Sent, l.LockedUntil, l.IDLockedUntil = parseTimes(sent), instant(locked), instant(idLocked)
		return nil
	}, `INSERT INTO number_limits (subject, changed_at) VALUES ($1, $2)
		ON CONFLICT (subject) DO UPDATE SET changed_at = $2
		RETURNING sent, failures, locked_until, id_tries, id_locked_until`, subject, micros(now))
	return l, err
}

// SaveLimits stores what LockLimits gave, changed.
func (tx *Tx) SaveLimits(ctx context.Context, l verification.Limits) error {
	_, err := tx.exec(ctx, `UPDATE number_limits SET sent = $1, failures = $2, locked_until = $3, id_tries = $4, id_locked_until = $5
		WHERE subject = $6`, formatTimes(l.Sent), l.Failures, micros(l.LockedUntil), l.IDTries, micros(l.IDLockedUntil), l.Subject)
	return err
}

func parseTimes(text string) []time.Time {
	var times []time.Time
	for _, field := range strings.Fields(text) {
		if ms, err := strconv.ParseInt(field, 10, 64); err == nil {
			times = append(times, time.UnixMilli(ms))
		}
	}
	return times
}

func formatTimes(times []time.Time) string {
	fields := make([]string, len(times))
	for i, t := range times {
		fields[i] = strconv.FormatInt(t.UnixMilli(), 10)
	}
	return strings.Join(fields, " ")
}

// FindCode gives the code with the id.
func (tx *Tx) FindCode(ctx context.Context, id string) (c verification.Code, found bool, err error) {
	err = tx.all(ctx, func(row scanner) error {
		var issued, expires int64
		found = true
		err := row.Scan(&c.Subject, &c.ID, &c.Channel, &c.Hash, &c.Number, &c.Status, &c.Tries, &c.Search, &issued, &expires)
		c.IssuedAt, c.ExpiresAt = instant(issued), instant(expires)
		return err
	}, `SELECT subject, id, channel, hash, number, status, tries, search, issued_at, expires_at FROM codes WHERE id = $1`, id)
	return c, found, err
}

// AddCode stores a new code.
func (tx *Tx) AddCode(ctx context.Context, c verification.Code) error {
	_, err := tx.exec(ctx, `INSERT INTO codes (subject, id, channel, hash, number, status, issued_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, c.Subject, c.ID, c.Channel, c.Hash, c.Number, string(c.Status), micros(c.IssuedAt), micros(c.ExpiresAt))
	return err
}

// SaveCode stores a code's status, tries and search.
func (tx *Tx) SaveCode(ctx context.Context, c verification.Code) error {
	_, err := tx.exec(ctx, `UPDATE codes SET status = $1, tries = $2, search = $3 WHERE subject = $4 AND id = $5`,
		string(c.Status), c.Tries, c.Search, c.Subject, c.ID)
	return err
}

// ReplaceCodes makes a number's open codes replaced ones.
func (tx *Tx) ReplaceCodes(ctx context.Context, subject string) error {
	_, err := tx.exec(ctx, `UPDATE codes SET status = 'replaced' WHERE subject = $1 AND status = 'open'`, subject)
	return err
}

// SpendBudget takes one from a named budget. The first statement makes the row and locks it.
func (tx *Tx) SpendBudget(ctx context.Context, name string, r verification.Rate, now time.Time) (wait time.Duration, err error) {
	var arrival int64
	err = tx.one(ctx, func(row scanner) error { return row.Scan(&arrival) },
		`INSERT INTO budgets (name, arrival_at) VALUES ($1, 0)
		ON CONFLICT (name) DO UPDATE SET arrival_at = budgets.arrival_at RETURNING arrival_at`, name)
	if err != nil {
		return 0, err
	}
	next, wait := r.Spend(instant(arrival), now)
	if wait > 0 {
		return wait, nil
	}
	_, err = tx.exec(ctx, `UPDATE budgets SET arrival_at = $1 WHERE name = $2`, micros(next), name)
	return 0, err
}
