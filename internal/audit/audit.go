// Package audit is the trail: every change of state leaves an entry with its actor, written in the same transaction, and
// a sealer chains the entries in signed batches.
//
// It guarantees that whoever can write the database, but has not the root key, cannot change, remove, insert or reorder
// sealed rows without Verify saying so; a shortened end shows against a Head that was kept elsewhere. Writers wait for
// nobody: an entry is sealed about a second after its transaction committed.
//
// It does not protect what is not sealed yet, nor against whoever holds the root key, and it says when an entry was sealed,
// not that it is true. A row goes into the first batch that is made after it was committed: one that commits late, with an
// id older than its neighbours', stands in a later batch than they do. Only within a batch is the order that of the ids.
//
// A pruned row leaves its id and hash: the chain still holds, and that a row was there cannot be hidden. A whole batch is
// pruned or none of it. Verify tells up to when rows were pruned; whether that is too early is for the reader to say.
package audit

import "context"

// Trail is what sealing and verifying need of the storage, inside one transaction or view.
type Trail interface {
	// LastCheckpoint gives the newest checkpoint, or false before the first.
	LastCheckpoint(ctx context.Context) (Checkpoint, bool, error)
	// UnsealedAudit gives up to max rows that no batch holds, the oldest ids first.
	UnsealedAudit(ctx context.Context, max int) ([]Row, error)
	// AddCheckpoint stores a checkpoint, or tells that another one has its batch. It waits for whoever is just storing one.
	AddCheckpoint(ctx context.Context, c Checkpoint) (won bool, err error)
	// SealAudit puts rows that no batch holds into one, and tells how many the batch has then.
	SealAudit(ctx context.Context, batch int64, seals []Seal) (int, error)
	// Checkpoints gives up to max checkpoints in order, those after a batch.
	Checkpoints(ctx context.Context, after int64, max int) ([]Checkpoint, error)
	// SealedAudit gives fn every row of the batches from first to last, batch by batch.
	SealedAudit(ctx context.Context, first, last int64, fn func(Row) error) error
	// LooseAudit counts the rows that wait for their sealing, and the rows and checkpoints that have no place: sealed, but in
	// no batch from 1 to last.
	LooseAudit(ctx context.Context, last int64) (unsealed, stray int64, err error)
}

// Store runs transactions.
type Store interface {
	Audit(ctx context.Context, fn func(context.Context, Trail) error) error
	// ReadAudit runs fn on a view in which nothing may be written.
	ReadAudit(ctx context.Context, fn func(context.Context, Trail) error) error
}
