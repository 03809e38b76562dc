package audit_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"untether/internal/audit"
	"untether/internal/clock"
	"untether/internal/keys"
	"untether/internal/store"
	"untether/internal/store/storetest"
)

var ctx = context.Background()

// trail is a hub's trail with everything to write, seal and verify it.
type trail struct {
	t      *testing.T
	db     *store.DB
	clock  *clock.Movable
	ring   *keys.Ring
	sealer *audit.Sealer
	n      int
}

func newTrail(t *testing.T, db *store.DB) *trail {
	t.Helper()
	ring, err := keys.New(bytes.Repeat([]byte{7}, keys.Size))
	if err != nil {
		t.Fatal(err)
	}
	c := &clock.Movable{}
	return &trail{t: t, db: db, clock: c, ring: ring,
		sealer: &audit.Sealer{Store: db, Keys: ring, Clock: c, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}}
}

func (tr *trail) public() ed25519.PublicKey { return tr.ring.Signer().Public().(ed25519.PublicKey) }

func (tr *trail) entry() audit.Entry {
	tr.n++
	return audit.Entry{At: tr.clock.Now(), Actor: "channel:portal", Action: "code.issued", Subject: fmt.Sprintf("subject-%d", tr.n),
		Ref: fmt.Sprintf("ref-%d", tr.n), Detail: "清号"}
}

// add writes n entries in one transaction.
func (tr *trail) add(n int) {
	tr.t.Helper()
	entries := make([]audit.Entry, n)
	for i := range entries {
		entries[i] = tr.entry()
	}
	err := tr.db.Audit(ctx, func(ctx context.Context, t audit.Trail) error {
		return t.(audit.Tx).AddAudit(ctx, entries...)
	})
	if err != nil {
		tr.t.Fatal(err)
	}
}

// seal makes one batch of n rows.
func (tr *trail) seal(n int) {
	tr.t.Helper()
	if got, err := tr.sealer.Seal(ctx); err != nil || got != n {
		tr.t.Fatalf("sealed %d rows, %v; want %d", got, err, n)
	}
}

func (tr *trail) verify(anchors ...audit.Head) audit.Report {
	tr.t.Helper()
	r, err := audit.Verify(ctx, tr.db, tr.public(), anchors...)
	if err != nil {
		tr.t.Fatal(err)
	}
	return r
}

// three makes batches of 3, 4 and 5 rows.
func (tr *trail) three() {
	for n := 3; n <= 5; n++ {
		tr.add(n)
		tr.seal(n)
	}
}

func exec(t *testing.T, raw *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := raw.Exec(query, args...); err != nil {
		t.Fatal(err)
	}
}

func TestSoundTrail(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		tr := newTrail(t, db)
		if r := tr.verify(); !r.Sound() || r.Batches != 0 || r.Head.Batch != 0 {
			t.Fatalf("empty trail: %+v", r)
		}
		tr.three()
		tr.add(2)
		r := tr.verify()
		if !r.Sound() || r.Batches != 3 || r.Rows != 12 || r.Unsealed != 2 || r.Head.Batch != 3 || r.Pruned != 0 {
			t.Fatalf("report %+v", r)
		}
		tr.seal(2)
		if r := tr.verify(r.Head); !r.Sound() || r.Head.Batch != 4 {
			t.Fatalf("grown trail against its older head: %+v", r)
		}
		tr.seal(0) // nothing is left: no empty batch
	})
}

func TestLongTrailIsVerifiedInPages(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		tr := newTrail(t, db)
		for range 40 {
			tr.add(2)
			tr.seal(2)
		}
		if r := tr.verify(); !r.Sound() || r.Batches != 40 || r.Rows != 80 {
			t.Fatalf("report %+v", r)
		}
		raw := storetest.SQL(t, db)
		exec(t, raw, `UPDATE audit SET actor = 'x' WHERE batch = 33`)
		if r := tr.verify(); r.FirstBad() != 33 || r.Batches != 40 {
			t.Fatalf("report %+v", r)
		}
		exec(t, raw, `DELETE FROM audit_checkpoints WHERE batch IN (16, 17)`) // the rows at the border of two pages have no checkpoint
		r := tr.verify()
		if r.FirstBad() != 16 {
			t.Fatalf("report %+v", r)
		}
	})
}

func TestABatchHasAMost(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		tr := newTrail(t, db)
		tr.add(1001)
		tr.seal(1000)
		tr.seal(1)
		if r := tr.verify(); !r.Sound() || r.Rows != 1001 {
			t.Fatalf("report %+v", r)
		}
	})
}

// A transaction that began before its neighbours and commits after they were sealed.
func TestLateRowGoesIntoALaterBatch(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		tr := newTrail(t, db)
		early := tr.entry()
		tr.clock.Advance(time.Hour)
		tr.add(3)
		tr.seal(3)
		err := db.Audit(ctx, func(ctx context.Context, t audit.Trail) error { return t.(audit.Tx).AddAudit(ctx, early) })
		if err != nil {
			t.Fatal(err)
		}
		tr.seal(1)
		if r := tr.verify(); !r.Sound() || r.Batches != 2 {
			t.Fatalf("report %+v", r)
		}
	})
}

// Everything that somebody with the database's password can do to a trail of three batches (3, 4, 5 rows).
func TestTampering(t *testing.T) {
	const middle = ` WHERE id = (SELECT MIN(id) FROM audit WHERE batch = 2)`
	const copied = `INSERT INTO audit (id, batch, at, actor, action, subject, ref, detail, salt, hash, pruned) SELECT `
	tests := map[string]struct {
		sql []string
		bad int64 // the first batch that must be named
	}{
		"id":                       {[]string{`UPDATE audit SET id = id || 'A'` + middle}, 2},
		"batch moved on":           {[]string{`UPDATE audit SET batch = 3` + middle}, 2},
		"batch unsealed":           {[]string{`UPDATE audit SET batch = 0` + middle}, 2},
		"row unsealed whole":       {[]string{`UPDATE audit SET batch = 0, hash = NULL` + middle}, 2},
		"batch far away":           {[]string{`UPDATE audit SET batch = 99` + middle}, 2},
		"batch below zero":         {[]string{`UPDATE audit SET batch = -2` + middle}, 2},
		"at":                       {[]string{`UPDATE audit SET at = at + 1` + middle}, 2},
		"actor":                    {[]string{`UPDATE audit SET actor = 'hub'` + middle}, 2},
		"action":                   {[]string{`UPDATE audit SET action = 'code.used'` + middle}, 2},
		"subject":                  {[]string{`UPDATE audit SET subject = 'somebody'` + middle}, 2},
		"ref":                      {[]string{`UPDATE audit SET ref = ''` + middle}, 2},
		"detail":                   {[]string{`UPDATE audit SET detail = detail || ' '` + middle}, 2},
		"text moved between":       {[]string{`UPDATE audit SET actor = actor || action, action = ''` + middle}, 2},
		"salt":                     {[]string{`UPDATE audit SET salt = hash` + middle}, 2},
		"hash":                     {[]string{`UPDATE audit SET hash = salt` + middle}, 2},
		"hash gone":                {[]string{`UPDATE audit SET hash = NULL` + middle}, 2},
		"pruned alone":             {[]string{`UPDATE audit SET pruned = TRUE` + middle}, 2},
		"pruned and emptied alone": {[]string{`UPDATE audit SET pruned = TRUE, at = 0, actor = '', action = '', subject = '', ref = '', detail = ''` + middle}, 2},
		"pruned with its text":     {[]string{`UPDATE audit SET pruned = TRUE WHERE batch = 2`, `UPDATE audit_checkpoints SET pruned = TRUE WHERE batch = 2`}, 2},
		"two rows swapped": {[]string{`UPDATE audit SET subject = (SELECT MAX(subject) FROM audit a WHERE a.batch = 2),
			ref = (SELECT MAX(ref) FROM audit a WHERE a.batch = 2) WHERE batch = 2`}, 2},
		"row removed":             {[]string{`DELETE FROM audit` + middle}, 2},
		"batch's rows removed":    {[]string{`DELETE FROM audit WHERE batch = 2`}, 2},
		"row inserted":            {[]string{copied + `id || 'A', batch, at, actor, action, subject, ref, detail, salt, hash, pruned FROM audit` + middle}, 2},
		"row replaced":            {[]string{copied + `id || 'A', batch, at, actor, action, subject, ref, detail, salt, hash, pruned FROM audit` + middle, `DELETE FROM audit` + middle}, 2},
		"checkpoint removed":      {[]string{`DELETE FROM audit_checkpoints WHERE batch = 2`}, 2},
		"batch removed whole":     {[]string{`DELETE FROM audit_checkpoints WHERE batch = 2`, `DELETE FROM audit WHERE batch = 2`}, 2},
		"first batch removed":     {[]string{`DELETE FROM audit_checkpoints WHERE batch = 1`, `DELETE FROM audit WHERE batch = 1`}, 1},
		"last checkpoint removed": {[]string{`DELETE FROM audit_checkpoints WHERE batch = 3`}, 3},
		"batches renumbered": {[]string{`DELETE FROM audit_checkpoints WHERE batch = 2`, `DELETE FROM audit WHERE batch = 2`,
			`UPDATE audit_checkpoints SET batch = 2 WHERE batch = 3`, `UPDATE audit SET batch = 2 WHERE batch = 3`}, 2},
		"checkpoint row_count": {[]string{`UPDATE audit_checkpoints SET row_count = 5 WHERE batch = 2`}, 2},
		"count and row":        {[]string{`UPDATE audit_checkpoints SET row_count = 3 WHERE batch = 2`, `DELETE FROM audit` + middle}, 2},
		"checkpoint previous":  {[]string{`UPDATE audit_checkpoints SET previous = hash WHERE batch = 2`}, 2},
		"checkpoint hash":      {[]string{`UPDATE audit_checkpoints SET hash = previous WHERE batch = 2`}, 2},
		"checkpoint signature": {[]string{`UPDATE audit_checkpoints SET signature = hash WHERE batch = 2`}, 2},
		"another's signature": {[]string{`UPDATE audit_checkpoints SET signature =
			(SELECT signature FROM audit_checkpoints c WHERE c.batch = 1) WHERE batch = 2`}, 2},
		"checkpoint at":       {[]string{`UPDATE audit_checkpoints SET at = at - 1 WHERE batch = 2`}, 2},
		"checkpoint pruned":   {[]string{`UPDATE audit_checkpoints SET pruned = TRUE WHERE batch = 2`}, 2},
		"checkpoint inserted": {[]string{`INSERT INTO audit_checkpoints SELECT 4, 0, hash, hash, signature, at, FALSE FROM audit_checkpoints WHERE batch = 3`}, 4},
		"checkpoint below":    {[]string{`INSERT INTO audit_checkpoints SELECT 0, 0, hash, hash, signature, at, FALSE FROM audit_checkpoints WHERE batch = 3`}, 4},
		"hash before sealing": {[]string{copied + `id || 'A', 0, at, actor, action, subject, ref, detail, salt, hash, pruned FROM audit` + middle}, 4},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, db *store.DB) {
				tr := newTrail(t, db)
				tr.three()
				if r := tr.verify(); !r.Sound() {
					t.Fatalf("before: %+v", r)
				}
				raw := storetest.SQL(t, db)
				for _, s := range test.sql {
					exec(t, raw, s)
				}
				if r := tr.verify(); r.FirstBad() != test.bad {
					t.Errorf("first bad batch %d, want %d; %+v", r.FirstBad(), test.bad, r)
				}
			})
		})
	}
}

// Every row in turn, not only the first of a batch.
func TestTamperingWithEveryRow(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		tr := newTrail(t, db)
		tr.three()
		raw := storetest.SQL(t, db)
		batchOf := map[string]int64{}
		rows, err := raw.Query(`SELECT id, batch FROM audit`)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var id string
			var batch int64
			if err := rows.Scan(&id, &batch); err != nil {
				t.Fatal(err)
			}
			batchOf[id] = batch
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil || len(batchOf) != 12 {
			t.Fatal(err, len(batchOf))
		}
		for id, batch := range batchOf {
			exec(t, raw, `UPDATE audit SET detail = 'changed' WHERE id = $1`, id)
			r := tr.verify()
			if r.FirstBad() != batch || r.Faults[0].Row != id || r.FaultCount != 1 {
				t.Errorf("row %s of batch %d: %+v", id, batch, r.Faults)
			}
			exec(t, raw, `UPDATE audit SET detail = '清号' WHERE id = $1`, id)
		}
		if r := tr.verify(); !r.Sound() {
			t.Errorf("put back: %+v", r.Faults)
		}
	})
}

// A whole, well-formed end can only be missed by whoever kept a head.
func TestShortenedTrail(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		tr := newTrail(t, db)
		tr.three()
		head := tr.verify().Head
		raw := storetest.SQL(t, db)
		exec(t, raw, `DELETE FROM audit_checkpoints WHERE batch = 3`)
		exec(t, raw, `DELETE FROM audit WHERE batch = 3`)
		if r := tr.verify(); !r.Sound() {
			t.Errorf("without a head nothing can be seen: %+v", r)
		}
		if r := tr.verify(head); r.FirstBad() != 3 {
			t.Errorf("shortened: %+v", r)
		}
		tr.add(2)
		tr.seal(2) // the hub goes on, and signs another batch 3
		if r := tr.verify(head); r.FirstBad() != 3 || !strings.Contains(r.Faults[0].What, "head") {
			t.Errorf("rewritten: %+v", r)
		}
	})
}

func TestAnotherKey(t *testing.T) {
	tr := newTrail(t, storetest.Open(t))
	tr.three()
	other, err := keys.New(bytes.Repeat([]byte{8}, keys.Size))
	if err != nil {
		t.Fatal(err)
	}
	r, err := audit.Verify(ctx, tr.db, other.Signer().Public().(ed25519.PublicKey))
	if err != nil || r.FaultCount != 3 || r.FirstBad() != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := audit.Verify(ctx, tr.db, nil); err == nil {
		t.Error("no key at all was accepted")
	}
}

func TestPrunedTrail(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		tr := newTrail(t, db)
		tr.add(3)
		tr.seal(3)
		tr.add(4)
		tr.seal(4)
		until := tr.clock.Now()
		tr.clock.Advance(400 * 24 * time.Hour)
		tr.add(5)
		tr.seal(5)
		removed, err := db.Prune(ctx, store.Policy{}, tr.clock.Now())
		if err != nil || removed.Audit != 7 {
			t.Fatal(removed, err)
		}
		r := tr.verify()
		if !r.Sound() || r.Rows != 12 || r.Pruned != 7 || r.PrunedUntil.After(until) || r.PrunedUntil.Before(until.Add(-time.Minute)) {
			t.Fatalf("report %+v", r)
		}
		raw := storetest.SQL(t, db)
		var left int
		if err := raw.QueryRow(`SELECT COUNT(*) FROM audit WHERE batch IN (1, 2) AND (at <> 0 OR actor <> '' OR action <> '' OR subject <> ''
			OR ref <> '' OR detail <> '' OR LENGTH(salt) > 0)`).Scan(&left); err != nil || left != 0 {
			t.Fatalf("%d pruned rows still say something, %v", left, err)
		}
		// What is left of them is still protected.
		const middle = ` WHERE id = (SELECT MIN(id) FROM audit WHERE batch = 2)`
		for name, change := range map[string][2]string{
			"at":     {`UPDATE audit SET at = 1`, `UPDATE audit SET at = 0`},
			"actor":  {`UPDATE audit SET actor = 'x'`, `UPDATE audit SET actor = ''`},
			"detail": {`UPDATE audit SET detail = 'x'`, `UPDATE audit SET detail = ''`},
			"salt":   {`UPDATE audit SET salt = hash`, ``},
		} {
			var salt []byte
			if err := raw.QueryRow(`SELECT salt FROM audit` + middle).Scan(&salt); err != nil {
				t.Fatal(err)
			}
			exec(t, raw, change[0]+middle)
			if r := tr.verify(); r.FirstBad() != 2 {
				t.Errorf("%s: %+v", name, r)
			}
			if change[1] == "" {
				exec(t, raw, `UPDATE audit SET salt = $1`+middle, []byte{})
			} else {
				exec(t, raw, change[1]+middle)
			}
		}
		if r := tr.verify(); !r.Sound() {
			t.Fatalf("put back: %+v", r)
		}
		for _, change := range []string{`UPDATE audit SET id = id || 'A'`, `UPDATE audit SET hash = NULL`, `DELETE FROM audit`} {
			exec(t, raw, change+middle)
			if r := tr.verify(); r.FirstBad() != 2 {
				t.Errorf("%s: %+v", change, r)
			}
		}
	})
}
