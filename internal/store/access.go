package store

import (
	"context"
	"strings"

	"untether/internal/access"
)

// Access runs a transaction of package access.
func (db *DB) Access(ctx context.Context, fn func(context.Context, access.Tx) error) error {
	return db.Write(ctx, func(ctx context.Context, tx *Tx) error { return fn(ctx, tx) })
}

// ReadAccess runs a view of package access.
func (db *DB) ReadAccess(ctx context.Context, fn func(context.Context, access.Tx) error) error {
	return db.Read(ctx, func(ctx context.Context, tx *Tx) error { return fn(ctx, tx) })
}

// AddToken stores a token's hash.
func (tx *Tx) AddToken(ctx context.Context, t access.Token) error {
	_, err := tx.exec(ctx, `INSERT INTO tokens (hash, client, scopes, expires_at) VALUES ($1, $2, $3, $4)`,
		t.Hash, t.Client, strings.Join(t.Scopes, " "), micros(t.ExpiresAt))
	return err
}

// FindToken gives the token with the hash.
func (tx *Tx) FindToken(ctx context.Context, hash string) (t access.Token, found bool, err error) {
	err = tx.all(ctx, func(row scanner) error {
		var scopes string
		var expires int64
		found = true
		err := row.Scan(&t.Hash, &t.Client, &scopes, &expires)
		t.Scopes, t.ExpiresAt = strings.Fields(scopes), instant(expires)
		return err
	}, `SELECT hash, client, scopes, expires_at FROM tokens WHERE hash = $1`, hash)
	return t, found, err
}
