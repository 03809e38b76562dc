package hub

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"strings"

	"untether/internal/audit"
	"untether/internal/store"
)

// VerifyTrail verifies the audit trail of a hub's database, which may be in use meanwhile, against the hub's key and heads
// that were kept. A SQLite file that is not there is an error: an empty trail would prove nothing.
func VerifyTrail(ctx context.Context, o Options, heads ...audit.Head) (audit.Report, error) {
	if !strings.HasPrefix(o.Database, "postgres") {
		if _, err := os.Stat(o.Database); err != nil {
			return audit.Report{}, fmt.Errorf("the database: %w", err)
		}
	}
	db, err := store.Open(ctx, o.Database)
	if err != nil {
		return audit.Report{}, err
	}
	report, err := audit.Verify(ctx, db, o.Keys.Signer().Public().(ed25519.PublicKey), heads...)
	return report, errors.Join(err, db.Close())
}
