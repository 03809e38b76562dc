package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"untether/internal/clock"
	"untether/internal/keys"
)

// How the trail is sealed.
const (
	batchMax  = 1000
	sealEvery = time.Second
)

// Sealer seals the trail. Several may run on one database, each in its replica: one wins a batch, the others look again.
type Sealer struct {
	Store Store
	Keys  *keys.Ring
	Clock clock.Clock
	Log   *slog.Logger
}

// Run seals until ctx ends. What is not sealed then is sealed by whoever runs next.
func (s *Sealer) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		n, err := s.Seal(ctx)
		if err != nil && ctx.Err() == nil {
			s.Log.Error("the audit trail cannot be sealed now", "error", err)
		}
		if err == nil && n == batchMax {
			continue // there may be more
		}
		if clock.Wait(ctx, s.Clock, s.Clock.Now().Add(sealEvery)) != nil {
			return nil
		}
	}
	return nil
}

// errLost says that another sealer made the batch first.
var errLost = errors.New("another sealer made this batch")

// Seal makes at most one batch and tells how many rows went into it. Rows are read and hashed before the transaction
// that writes: a sealed row never changes, and who was first shows in the batch's number.
func (s *Sealer) Seal(ctx context.Context) (int, error) {
	var last Checkpoint
	var rows []Row
	err := s.Store.ReadAudit(ctx, func(ctx context.Context, t Trail) (err error) {
		if last, _, err = t.LastCheckpoint(ctx); err != nil {
			return err
		}
		rows, err = t.UnsealedAudit(ctx, batchMax)
		return err
	})
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	c, seals := s.batch(last, rows)
	err = s.Store.Audit(ctx, func(ctx context.Context, t Trail) error { return store(ctx, t, c, seals) })
	if errors.Is(err, errLost) {
		return 0, nil
	}
	return len(rows), err
}

func (s *Sealer) batch(last Checkpoint, rows []Row) (Checkpoint, []Seal) {
	c := Checkpoint{Batch: last.Batch + 1, RowCount: int64(len(rows)), Previous: last.Hash, At: s.Clock.Now()}
	if last.Batch == 0 {
		c.Previous = first
	}
	seals := make([]Seal, len(rows))
	for i, r := range rows {
		seals[i] = Seal{r.ID, hashRow(r)}
	}
	c.Hash = hashCheckpoint(c, seals)
	c.Signature = sign(s.Keys.Signer(), c.Hash)
	return c, seals
}

func store(ctx context.Context, t Trail, c Checkpoint, seals []Seal) error {
	won, err := t.AddCheckpoint(ctx, c)
	if err != nil {
		return err
	}
	if !won {
		return errLost
	}
	n, err := t.SealAudit(ctx, c.Batch, seals)
	if err == nil && n != len(seals) {
		err = fmt.Errorf("%d of %d rows of batch %d were gone before they could be sealed", len(seals)-n, len(seals), c.Batch)
	}
	return err
}
