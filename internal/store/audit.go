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

// auditID sorts by time as text: 8 bytes of microseconds and 7 random ones, in base 32 of ascending letters.
func auditID(at time.Time) string {
	var b [15]byte
	binary.BigEndian.PutUint64(b[:8], uint64(at.UnixMicro()))
	rand.Read(b[8:])
	return base32.HexEncoding.EncodeToString(b[:])
}
