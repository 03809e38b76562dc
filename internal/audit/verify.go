package audit

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Head is the end of a trail: kept outside the database, it proves later that the trail was not shortened.
type Head struct {
	Batch int64 // of the last checkpoint; 0: the trail is empty
	Hash  []byte
}

// String is the head as one word: the batch, a colon and the hash in hexadecimal.
func (h Head) String() string {
	return strconv.FormatInt(h.Batch, 10) + ":" + hex.EncodeToString(h.Hash)
}

// ParseHead reads what String wrote.
func ParseHead(s string) (Head, error) {
	number, text, ok := strings.Cut(s, ":")
	batch, err := strconv.ParseInt(number, 10, 64)
	hash, err2 := hex.DecodeString(text)
	empty := batch == 0 && len(hash) == 0
	if !ok || err != nil || err2 != nil || batch < 0 || !empty && (batch == 0 || len(hash) != len(first)) {
		return Head{}, fmt.Errorf("a head of the trail must look like 123:0f…, a batch and its hash of %d hexadecimal digits", 2*len(first))
	}
	return Head{Batch: batch, Hash: hash}, nil
}

// Fault is something that is not as it was sealed.
type Fault struct {
	Batch int64  // where; the batch that is missing when a checkpoint is
	Row   string // the row's id; empty when it is the batch as a whole
	What  string
}

// Report is what Verify found.
type Report struct {
	Batches  int64 // checkpoints that were looked at
	Rows     int64 // sealed rows that were looked at
	Pruned   int64 // of them, how many are empty after their retention
	Unsealed int64 // rows that wait for their sealing
	// PrunedUntil is when the newest pruned batch was sealed. Compare it with the retention: rows that were emptied too
	// early, by whoever, show here and nowhere else.
	PrunedUntil time.Time
	Head        Head
	Faults      []Fault // in the trail's order, the first faultsMax
	FaultCount  int64   // how many there are
}

// Sound tells whether everything is as it was sealed.
func (r Report) Sound() bool { return r.FaultCount == 0 }

// FirstBad is the first batch with a fault; 0 when there is none.
func (r Report) FirstBad() int64 {
	if len(r.Faults) == 0 {
		return 0
	}
	return r.Faults[0].Batch
}

const (
	faultsMax = 100 // kept in a report
	pageMax   = 16  // checkpoints verified in one view, so that no view is held for long
)

// verifier walks the trail from its beginning.
type verifier struct {
	key     ed25519.PublicKey
	anchors []Head
	report  Report
}

// Verify checks the whole trail against the key that signed it, and against heads that earlier reports gave. What is wrong
// is in the report; an error means that the trail could not be read.
func Verify(ctx context.Context, s Store, key ed25519.PublicKey, anchors ...Head) (Report, error) {
	if len(key) != ed25519.PublicKeySize {
		return Report{}, fmt.Errorf("the public key must be %d bytes", ed25519.PublicKeySize)
	}
	v := &verifier{key: key, anchors: anchors, report: Report{Head: Head{Hash: first}}}
	for {
		n := 0
		err := s.ReadAudit(ctx, func(ctx context.Context, t Trail) (err error) {
			n, err = v.page(ctx, t)
			return err
		})
		if err != nil {
			return Report{}, err
		}
		if n < pageMax {
			break
		}
	}
	v.end()
	return v.report, nil
}

// page verifies the next checkpoints with their rows. At the end of the trail, in the same view as its last checkpoints,
// it looks for rows outside of it.
func (v *verifier) page(ctx context.Context, t Trail) (int, error) {
	checkpoints, err := t.Checkpoints(ctx, v.report.Head.Batch, pageMax)
	if err != nil {
		return 0, err
	}
	if len(checkpoints) > 0 {
		if err := v.batches(ctx, t, checkpoints); err != nil {
			return 0, err
		}
	}
	if len(checkpoints) == pageMax {
		return pageMax, nil
	}
	unsealed, stray, err := t.LooseAudit(ctx, v.report.Head.Batch)
	v.report.Unsealed = unsealed
	if stray > 0 {
		v.fault(v.report.Head.Batch+1, "", fmt.Sprintf("%d rows are outside of every batch and do not wait for one", stray))
	}
	return len(checkpoints), err
}

func (v *verifier) batches(ctx context.Context, t Trail, checkpoints []Checkpoint) error {
	i := 0
	var b batch
	err := t.SealedAudit(ctx, v.report.Head.Batch+1, checkpoints[len(checkpoints)-1].Batch, func(r Row) error {
		for i < len(checkpoints) && checkpoints[i].Batch < r.Batch {
			v.checkpoint(checkpoints[i], b)
			b = batch{}
			i++
		}
		v.report.Rows++
		if checkpoints[i].Batch != r.Batch {
			v.fault(r.Batch, r.ID, "the row's batch has no checkpoint")
			return nil
		}
		v.row(&b, checkpoints[i], r)
		return nil
	})
	for ; err == nil && i < len(checkpoints); i++ {
		v.checkpoint(checkpoints[i], b)
		b = batch{}
	}
	return err
}

// batch gathers the rows of one checkpoint.
type batch struct {
	rows  int64
	seals []Seal
	bad   []Fault // told after what is wrong before this batch
}

// row checks one row against its own hash.
func (v *verifier) row(b *batch, c Checkpoint, r Row) {
	b.rows++
	if b.rows <= c.RowCount { // a batch into which millions were smuggled is not held in memory
		b.seals = append(b.seals, Seal{r.ID, r.Hash})
	}
	if r.Pruned {
		v.report.Pruned++
	}
	if what := wrong(c, r); what != "" && len(b.bad) < faultsMax {
		b.bad = append(b.bad, Fault{r.Batch, r.ID, what})
	}
}

// wrong says what is wrong with a row by itself; empty: nothing.
func wrong(c Checkpoint, r Row) string {
	switch {
	case r.Pruned != c.Pruned:
		return "the row is pruned and its batch is not, or the other way round"
	case !r.Pruned && !bytes.Equal(r.Hash, hashRow(r)):
		return "the row was changed after it was sealed"
	case r.Pruned && (r.Entry != Entry{} || len(r.Salt) > 0):
		return "the row was pruned and then written to"
	}
	return ""
}

// checkpoint checks one checkpoint against the one before it, its rows, its signature and the heads that were kept.
func (v *verifier) checkpoint(c Checkpoint, b batch) {
	before := v.report.Head
	v.report.Batches++
	if c.Pruned && c.At.After(v.report.PrunedUntil) {
		v.report.PrunedUntil = c.At
	}
	if missing := c.Batch - before.Batch - 1; missing > 0 {
		v.fault(before.Batch+1, "", fmt.Sprintf("%d checkpoints are missing", missing))
	}
	if c.Batch == before.Batch+1 && !bytes.Equal(c.Previous, before.Hash) {
		v.fault(c.Batch, "", "the checkpoint does not follow the one before it")
	}
	for _, f := range b.bad {
		v.fault(f.Batch, f.Row, f.What)
	}
	if b.rows != c.RowCount {
		v.fault(c.Batch, "", fmt.Sprintf("%d rows were sealed, %d are there", c.RowCount, b.rows))
	} else if !bytes.Equal(c.Hash, hashCheckpoint(c, b.seals)) {
		v.fault(c.Batch, "", "the batch is not the one that was sealed")
	}
	if !ed25519.Verify(v.key, signed(c.Hash), c.Signature) {
		v.fault(c.Batch, "", "the signature is not by this hub's key")
	}
	for _, a := range v.anchors {
		if a.Batch == c.Batch && !bytes.Equal(a.Hash, c.Hash) {
			v.fault(c.Batch, "", "the checkpoint is another one than the head that was kept")
		}
	}
	v.report.Head = Head{c.Batch, c.Hash}
}

// end checks that the trail reaches the heads that were kept.
func (v *verifier) end() {
	for _, a := range v.anchors {
		if a.Batch > v.report.Head.Batch {
			v.fault(v.report.Head.Batch+1, "", fmt.Sprintf("the trail ends here, but it reached batch %d when a head was kept", a.Batch))
		}
	}
}

func (v *verifier) fault(batch int64, row, what string) {
	v.report.FaultCount++
	if len(v.report.Faults) < faultsMax {
		v.report.Faults = append(v.report.Faults, Fault{batch, row, what})
	}
}
