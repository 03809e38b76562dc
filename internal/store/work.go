package store

import (
	"context"
	"slices"
	"time"

	"untether/internal/work"
)

const workColumns = `subject, ref, lane, kind, tenure, state, due_at, deadline, attempts, payload, outcome, done_at`

func scanItem(row scanner) (work.Item, error) {
	var it work.Item
	var due, deadline, done int64
	err := row.Scan(&it.Subject, &it.Ref, &it.Lane, &it.Kind, &it.Tenure, &it.State, &due, &deadline, &it.Attempts, &it.Payload,
		&it.Outcome, &done)
	it.Due, it.Deadline, it.DoneAt = instant(due), instant(deadline), instant(done)
	return it, err
}

// AddWork stores open items.
func (tx *Tx) AddWork(ctx context.Context, items []work.Item) error {
	return tx.each(ctx, `INSERT INTO work (subject, ref, lane, kind, tenure, due_at, deadline, payload)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, len(items), func(i int) []any {
		it := items[i]
		return []any{it.Subject, it.Ref, it.Lane, it.Kind, it.Tenure, micros(it.Due), micros(it.Deadline), it.Payload}
	}, nil)
}

// LeaseWork takes due items and makes them due again at until. MATERIALIZED: PostgreSQL may run a plain subselect once a row
// and then takes more than max.
func (tx *Tx) LeaseWork(ctx context.Context, lane string, now, until time.Time, max int) ([]work.Item, error) {
	var items []work.Item
	err := tx.all(ctx, func(row scanner) error {
		it, err := scanItem(row)
		items = append(items, it)
		return err
	}, `WITH due AS MATERIALIZED (
			SELECT subject, ref, lane FROM work
			WHERE lane = $2 AND state = 'open' AND due_at <= $3 AND deadline > $3
			ORDER BY due_at LIMIT $4 `+tx.skipLocked+`)
		UPDATE work SET due_at = $1, attempts = attempts + 1
		WHERE (subject, ref, lane) IN (SELECT subject, ref, lane FROM due)
		RETURNING `+workColumns, micros(until), lane, micros(now), max)
	return items, err
}

// FinishWork gives open items their outcome; one that is not open any more keeps what it has.
func (tx *Tx) FinishWork(ctx context.Context, at time.Time, results []work.Result) ([]work.State, error) {
	was := make([]work.State, len(results))
	changed, err := tx.changes(ctx, `UPDATE work SET state = $1, outcome = $2, done_at = $3
		WHERE subject = $4 AND ref = $5 AND lane = $6 AND state = 'open'`, len(results), func(i int) []any {
		r := results[i]
		return []any{string(r.State), r.Outcome, micros(at), r.Subject, r.Ref, r.Lane}
	})
	for i, n := range changed {
		if n > 0 {
			was[i] = work.Open
		}
	}
	if err != nil || !slices.Contains(was, "") {
		return was, err
	}
	return was, tx.statesOf(ctx, results, was)
}

// statesOf fills in the states of those items that were not open.
func (tx *Tx) statesOf(ctx context.Context, results []work.Result, was []work.State) error {
	var unknown []int
	for i, state := range was {
		if state == "" {
			unknown = append(unknown, i)
		}
	}
	return tx.each(ctx, `SELECT state FROM work WHERE subject = $1 AND ref = $2 AND lane = $3`, len(unknown), func(i int) []any {
		r := results[unknown[i]]
		return []any{r.Subject, r.Ref, r.Lane}
	}, func(i int, row scanner) error { return row.Scan(&was[unknown[i]]) })
}

// PostponeWork makes open or done items open and due at the given time.
func (tx *Tx) PostponeWork(ctx context.Context, due time.Time, keys []work.Key) error {
	return tx.each(ctx, `UPDATE work SET state = 'open', due_at = $1
		WHERE subject = $2 AND ref = $3 AND lane = $4 AND state IN ('open', 'done')`, len(keys), func(i int) []any {
		return []any{micros(due), keys[i].Subject, keys[i].Ref, keys[i].Lane}
	}, nil)
}
