package store

import (
	"context"
	"time"

	"untether/internal/texts"
	"untether/internal/work"
)

// Texts runs a transaction of package texts.
func (db *DB) Texts(ctx context.Context, fn func(context.Context, texts.Tx) error) error {
	return db.Write(ctx, func(ctx context.Context, tx *Tx) error { return fn(ctx, tx) })
}

// AddParts records what the SMS centre took. A centre that gives an id twice, after months, has the older part forgotten.
func (tx *Tx) AddParts(ctx context.Context, parts []texts.Part) error {
	return tx.each(ctx, `INSERT INTO text_parts (centre_id, subject, ref, part, attempt, sent_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (centre_id) DO UPDATE SET subject = $2, ref = $3, part = $4, attempt = $5, sent_at = $6, status = '', final_at = 0`,
		len(parts), func(i int) []any {
			p := parts[i]
			return []any{p.CentreID, p.Subject, p.Ref, p.Index, p.Attempt, micros(p.SentAt)}
		}, nil)
}

// ReceiveParts records the centre's word on each part, and gives the text that it belongs to. The first last word stands.
func (tx *Tx) ReceiveParts(ctx context.Context, receipts []texts.Receipt) ([]texts.Received, error) {
	received := make([]texts.Received, len(receipts))
	part := func(i int, row scanner) error {
		received[i].Known, received[i].Lane = true, work.Texts
		return row.Scan(&received[i].Subject, &received[i].Ref, &received[i].Attempt)
	}
	err := tx.each(ctx, `UPDATE text_parts SET status = $1, final_at = $2 WHERE centre_id = $3 AND final_at = 0 RETURNING subject, ref, attempt`,
		len(receipts), func(i int) []any {
			final := int64(0)
			if receipts[i].Final {
				final = max(micros(receipts[i].At), 1)
			}
			return []any{receipts[i].Status, final, receipts[i].MessageID}
		}, part)
	if err != nil {
		return nil, err
	}
	var rest []int
	for i, r := range received {
		if !r.Known {
			rest = append(rest, i)
		}
	}
	err = tx.each(ctx, `SELECT subject, ref, attempt FROM text_parts WHERE centre_id = $1`, len(rest),
		func(i int) []any { return []any{receipts[rest[i]].MessageID} },
		func(i int, row scanner) error {
			received[rest[i]].Repeated = true
			return part(rest[i], row)
		})
	if err != nil {
		return nil, err
	}
	err = tx.each(ctx, `SELECT attempts, deadline FROM work WHERE subject = $1 AND ref = $2 AND lane = 'text'`,
		len(received), func(i int) []any { return []any{received[i].Subject, received[i].Ref} },
		func(i int, row scanner) error {
			var deadline int64
			err := row.Scan(&received[i].Attempts, &deadline)
			received[i].Deadline = instant(deadline)
			return err
		})
	return received, err
}

// SearchesReplied notes that the replies were handed over.
func (tx *Tx) SearchesReplied(ctx context.Context, at time.Time, searches []work.Key) error {
	return tx.each(ctx, `UPDATE searches SET status = 'replied', replied_at = $1 WHERE subject = $2 AND id = $3 AND status = 'replying'`,
		len(searches), func(i int) []any { return []any{micros(at), searches[i].Subject, searches[i].Ref} }, nil)
}

// FailOverdueTexts gives up open texts whose deadline has passed.
func (tx *Tx) FailOverdueTexts(ctx context.Context, now time.Time) (int, error) {
	n, err := tx.exec(ctx, `UPDATE work SET state = 'failed', outcome = '"overdue"', done_at = $1
		WHERE lane = 'text' AND state = 'open' AND deadline <= $1 AND due_at <= $1`, micros(now))
	return int(n), err
}
