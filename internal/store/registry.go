package store

import (
	"context"
	"strings"
	"time"

	"untether/internal/registry"
)

// Registry runs a transaction of package registry.
func (db *DB) Registry(ctx context.Context, fn func(context.Context, registry.Tx) error) error {
	return db.Write(ctx, func(ctx context.Context, tx *Tx) error { return fn(ctx, tx) })
}

// ReadRegistry runs a view of package registry.
func (db *DB) ReadRegistry(ctx context.Context, fn func(context.Context, registry.Tx) error) error {
	return db.Read(ctx, func(ctx context.Context, tx *Tx) error { return fn(ctx, tx) })
}

const lifeColumns = `subject, state, suspended, carrier, tenure, tenure_start, since, ended`

func scanLife(row scanner) (registry.Life, error) {
	var l registry.Life
	var start, since int64
	var ended string
	err := row.Scan(&l.Subject, &l.State, &l.Suspended, &l.Carrier, &l.Tenure.ID, &start, &since, &ended)
	l.Tenure.Start, l.Since, l.Ended = instant(start), instant(since), strings.Fields(ended)
	return l, err
}

// LockLives gives the lives of numbers. It writes their rows, so that others wait for them until the transaction ends.
func (tx *Tx) LockLives(ctx context.Context, subjects []string) ([]registry.Life, error) {
	lives := make([]registry.Life, len(subjects))
	err := tx.each(ctx, `INSERT INTO lives (`+lifeColumns+`) VALUES ($1, 'unknown', FALSE, '', '', 0, 0, '')
		ON CONFLICT (subject) DO UPDATE SET state = lives.state RETURNING `+lifeColumns, len(subjects),
		func(i int) []any { return []any{subjects[i]} },
		func(i int, row scanner) (err error) {
			lives[i], err = scanLife(row)
			return err
		})
	return lives, err
}

// SaveLives stores lives that LockLives gave, folded anew.
func (tx *Tx) SaveLives(ctx context.Context, lives []registry.Life) error {
	return tx.each(ctx, `UPDATE lives SET state = $1, suspended = $2, carrier = $3, tenure = $4, tenure_start = $5, since = $6, ended = $7
		WHERE subject = $8`, len(lives), func(i int) []any {
		l := lives[i]
		return []any{string(l.State), l.Suspended, l.Carrier, l.Tenure.ID, micros(l.Tenure.Start), micros(l.Since), strings.Join(l.Ended, " "), l.Subject}
	}, nil)
}

// FindLife gives a number's life.
func (tx *Tx) FindLife(ctx context.Context, subject string) (l registry.Life, found bool, err error) {
	err = tx.all(ctx, func(row scanner) (err error) {
		found = true
		l, err = scanLife(row)
		return err
	}, `SELECT `+lifeColumns+` FROM lives WHERE subject = $1`, subject)
	return l, found, err
}

// AddEvents stores what is new by carrier and sequence.
func (tx *Tx) AddEvents(ctx context.Context, events []registry.Event) ([]bool, error) {
	fresh := make([]bool, len(events))
	err := tx.each(ctx, `INSERT INTO number_events (carrier, sequence, subject, type, at, tenure, receiving)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (carrier, sequence) DO NOTHING RETURNING 1`, len(events), func(i int) []any {
		e := events[i]
		return []any{e.Carrier, e.Sequence, e.Subject, string(e.Type), micros(e.At), e.TenureID, e.Receiving}
	}, func(i int, row scanner) error {
		var one int
		fresh[i] = true
		return row.Scan(&one)
	})
	return fresh, err
}

// EventsOf gives all events of each number.
func (tx *Tx) EventsOf(ctx context.Context, subjects []string) ([][]registry.Event, error) {
	events := make([][]registry.Event, len(subjects))
	err := tx.each(ctx, `SELECT carrier, sequence, subject, type, at, tenure, receiving, aside FROM number_events WHERE subject = $1
		ORDER BY at, sequence`, len(subjects), func(i int) []any { return []any{subjects[i]} },
		func(i int, row scanner) error {
			var e registry.Event
			var at int64
			err := row.Scan(&e.Carrier, &e.Sequence, &e.Subject, &e.Type, &at, &e.TenureID, &e.Receiving, &e.Aside)
			e.At = instant(at)
			events[i] = append(events[i], e)
			return err
		})
	return events, err
}

// SaveAsides stores why events are kept aside.
func (tx *Tx) SaveAsides(ctx context.Context, events []registry.Event) error {
	return tx.each(ctx, `UPDATE number_events SET aside = $1 WHERE carrier = $2 AND sequence = $3`, len(events), func(i int) []any {
		return []any{events[i].Aside, events[i].Carrier, events[i].Sequence}
	}, nil)
}

// MoveMark moves a carrier's mark ahead.
func (tx *Tx) MoveMark(ctx context.Context, carrier string, asOf time.Time) error {
	_, err := tx.exec(ctx, `INSERT INTO carrier_marks (carrier, as_of) VALUES ($1, $2)
		ON CONFLICT (carrier) DO UPDATE SET as_of = $2 WHERE carrier_marks.as_of < $2`, carrier, micros(asOf))
	return err
}

// EndTenure makes everything open of a tenure void. It begins with the row of the number's limits, which a search that is
// just being accepted holds: what comes after sees that search. Without an id it is about whatever was searched until then.
// A text that was handed over is void too: a receipt of failure would send it again, to whoever has the number then.
func (tx *Tx) EndTenure(ctx context.Context, subject, tenureID string, at time.Time) (int, error) {
	_, err := tx.exec(ctx, `UPDATE number_limits SET id_tries = 0, id_locked_until = 0 WHERE subject = $1`, subject)
	if err != nil {
		return 0, err
	}
	searches, err := tx.exec(ctx, `UPDATE searches SET status = 'void' WHERE subject = $1 AND status IN ('collecting', 'replying')
		AND (tenure = $2 OR $2 = '' AND requested_at <= $3)`, subject, tenureID, micros(at))
	if err != nil {
		return 0, err
	}
	_, err = tx.exec(ctx, `UPDATE work SET state = 'void', done_at = $3 WHERE subject = $1 AND (state = 'open' OR state = 'done' AND lane = 'text') AND (tenure = $2 AND tenure <> ''
		OR $2 = '' AND ref IN (SELECT id FROM searches WHERE searches.subject = $1 AND searches.requested_at <= $3)
		OR ref IN (SELECT id FROM codes WHERE codes.subject = $1 AND codes.issued_at <= $3))`, subject, tenureID, micros(at))
	if err != nil {
		return 0, err
	}
	_, err = tx.exec(ctx, `UPDATE codes SET status = 'void' WHERE subject = $1 AND issued_at <= $2`, subject, micros(at))
	return int(searches), err
}
