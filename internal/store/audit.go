package store

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"time"

	"untether/internal/audit"
)

// AddAudit writes the trail's entries, committed with the change that they tell of.
func (tx *Tx) AddAudit(ctx context.Context, entries ...audit.Entry) error {
	return tx.each(ctx, `INSERT INTO audit (id, at, actor, action, subject, ref, detail, salt) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		len(entries), func(i int) []any {
			e := entries[i]
			salt := make([]byte, 16)
			rand.Read(salt)
			return []any{auditID(e.At), micros(e.At), e.Actor, e.Action, e.Subject, e.Ref, e.Detail, salt}
		}, nil)
}

// Audit runs a transaction of package audit.
func (db *DB) Audit(ctx context.Context, fn func(context.Context, audit.Trail) error) error {
	return db.Write(ctx, func(ctx context.Context, tx *Tx) error { return fn(ctx, tx) })
}

// ReadAudit runs a view of package audit.
func (db *DB) ReadAudit(ctx context.Context, fn func(context.Context, audit.Trail) error) error {
	return db.Read(ctx, func(ctx context.Context, tx *Tx) error { return fn(ctx, tx) })
}

const auditColumns = `id, batch, at, actor, action, subject, ref, detail, salt, hash, pruned`

func scanAudit(row scanner) (audit.Row, error) {
	var r audit.Row
	var at int64
	err := row.Scan(&r.ID, &r.Batch, &at, &r.Actor, &r.Action, &r.Subject, &r.Ref, &r.Detail, &r.Salt, &r.Hash, &r.Pruned)
	r.At = instant(at)
	return r, err
}

const checkpointColumns = `batch, row_count, previous, hash, signature, at, pruned`

func scanCheckpoint(row scanner) (audit.Checkpoint, error) {
	var c audit.Checkpoint
	var at int64
	err := row.Scan(&c.Batch, &c.RowCount, &c.Previous, &c.Hash, &c.Signature, &at, &c.Pruned)
	c.At = instant(at)
	return c, err
}

// LastCheckpoint gives the newest checkpoint.
func (tx *Tx) LastCheckpoint(ctx context.Context) (c audit.Checkpoint, found bool, err error) {
	err = tx.all(ctx, func(row scanner) (err error) {
		found = true
		c, err = scanCheckpoint(row)
		return err
	}, `SELECT `+checkpointColumns+` FROM audit_checkpoints ORDER BY batch DESC LIMIT 1`)
	return c, found, err
}

// UnsealedAudit gives the oldest rows that no batch holds.
func (tx *Tx) UnsealedAudit(ctx context.Context, max int) ([]audit.Row, error) {
	var rows []audit.Row
	err := tx.all(ctx, func(row scanner) error {
		r, err := scanAudit(row)
		rows = append(rows, r)
		return err
	}, `SELECT `+auditColumns+` FROM audit WHERE batch = 0 ORDER BY id LIMIT $1`, max)
	return rows, err
}

// AddCheckpoint stores a checkpoint unless its batch is taken. PostgreSQL makes a second one wait for the first.
func (tx *Tx) AddCheckpoint(ctx context.Context, c audit.Checkpoint) (won bool, err error) {
	n, err := tx.exec(ctx, `INSERT INTO audit_checkpoints (batch, row_count, previous, hash, signature, at)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (batch) DO NOTHING`,
		c.Batch, c.RowCount, c.Previous, c.Hash, c.Signature, micros(c.At))
	return n == 1, err
}

// SealAudit puts rows into a batch. Counting them afterwards costs less than having every update tell of its row.
func (tx *Tx) SealAudit(ctx context.Context, batch int64, seals []audit.Seal) (n int, err error) {
	err = tx.each(ctx, `UPDATE audit SET batch = $1, hash = $2 WHERE id = $3 AND batch = 0`, len(seals), func(i int) []any {
		return []any{batch, seals[i].Hash, seals[i].ID}
	}, nil)
	if err != nil {
		return 0, err
	}
	err = tx.one(ctx, func(row scanner) error { return row.Scan(&n) }, `SELECT COUNT(*) FROM audit WHERE batch = $1`, batch)
	return n, err
}

// Checkpoints gives the checkpoints after a batch.
func (tx *Tx) Checkpoints(ctx context.Context, after int64, max int) ([]audit.Checkpoint, error) {
	var checkpoints []audit.Checkpoint
	err := tx.all(ctx, func(row scanner) error {
		c, err := scanCheckpoint(row)
		checkpoints = append(checkpoints, c)
		return err
	}, `SELECT `+checkpointColumns+` FROM audit_checkpoints WHERE batch > $1 ORDER BY batch LIMIT $2`, after, max)
	return checkpoints, err
}

// SealedAudit gives fn the rows of batches.
func (tx *Tx) SealedAudit(ctx context.Context, first, last int64, fn func(audit.Row) error) error {
	return tx.all(ctx, func(row scanner) error {
		r, err := scanAudit(row)
		if err != nil {
			return err
		}
		return fn(r)
	}, `SELECT `+auditColumns+` FROM audit WHERE batch BETWEEN $1 AND $2 ORDER BY batch, id`, first, last)
}

// LooseAudit counts rows outside the batches: unsealed ones, and those that only look sealed.
func (tx *Tx) LooseAudit(ctx context.Context, last int64) (unsealed, stray int64, err error) {
	err = tx.one(ctx, func(row scanner) error { return row.Scan(&unsealed, &stray) }, `SELECT
		(SELECT COUNT(*) FROM audit WHERE batch = 0),
		(SELECT COUNT(*) FROM audit WHERE batch > $1) + (SELECT COUNT(*) FROM audit WHERE batch < 0) +
		(SELECT COUNT(*) FROM audit WHERE batch = 0 AND (hash IS NOT NULL OR pruned = TRUE)) +
		(SELECT COUNT(*) FROM audit_checkpoints WHERE batch < 1)`, last)
	return unsealed, stray, err
}

// auditID sorts by time as text: 8 bytes of microseconds and 7 random ones, in base 32 of ascending letters.
func auditID(at time.Time) string {
	var b [15]byte
	binary.BigEndian.PutUint64(b[:8], uint64(at.UnixMicro()))
	rand.Read(b[8:])
	return base32.HexEncoding.EncodeToString(b[:])
}
