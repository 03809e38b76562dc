package audit_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"untether/internal/audit"
	"untether/internal/clock"
	"untether/internal/keys"
	"untether/internal/store"
	"untether/internal/store/storetest"
)

// Writers and sealers at once: every row ends in exactly one batch.
func TestSealersTogether(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		tr := newTrail(t, db)
		const writers, each, sealers = 4, 25, 4
		entries := make(chan audit.Entry, writers*each)
		for range writers * each {
			entries <- tr.entry()
		}
		close(entries)
		var writing, sealing sync.WaitGroup
		for range writers {
			writing.Go(func() {
				for e := range entries {
					if err := db.Audit(ctx, func(ctx context.Context, t audit.Trail) error { return t.(audit.Tx).AddAudit(ctx, e) }); err != nil {
						t.Error(err)
					}
				}
			})
		}
		written := make(chan struct{})
		for range sealers {
			sealing.Go(func() {
				for last := false; ; {
					n, err := tr.sealer.Seal(ctx)
					if err != nil {
						t.Error(err)
						return
					}
					if n == 0 && last {
						return
					}
					select {
					case <-written:
						last = true
					default:
					}
				}
			})
		}
		writing.Wait()
		close(written)
		sealing.Wait()
		for { // a sealer that lost its batch may have left rows
			if n, err := tr.sealer.Seal(ctx); err != nil {
				t.Fatal(err)
			} else if n == 0 {
				break
			}
		}
		if r := tr.verify(); !r.Sound() || r.Rows != writers*each || r.Unsealed != 0 {
			t.Errorf("report %+v", r)
		}
	})
}

// Run seals by itself, on the clock.
func TestRun(t *testing.T) {
	tr := newTrail(t, storetest.Open(t))
	run, stop := context.WithCancel(ctx)
	ended := make(chan error)
	sealed := make(chan struct{}, 64)
	tr.sealer.Store = belled{tr.db, sealed}
	tr.add(1200)
	go func() { ended <- tr.sealer.Run(run) }()
	<-sealed
	<-sealed // 1,000 and 200 at once
	tr.add(3)
	tr.clock.Advance(time.Second)
	for tr.verify().Unsealed > 0 {
		<-sealed
		tr.clock.Advance(time.Second)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if r := tr.verify(); !r.Sound() || r.Rows != 1203 {
		t.Errorf("report %+v", r)
	}
}

// belled tells when a batch was written.
type belled struct {
	*store.DB
	sealed chan struct{}
}

func (b belled) Audit(ctx context.Context, fn func(context.Context, audit.Trail) error) error {
	err := b.DB.Audit(ctx, fn)
	b.sealed <- struct{}{}
	return err
}

func BenchmarkSeal(b *testing.B) {
	for _, kind := range []struct {
		name string
		open func(testing.TB) *store.DB
	}{{"sqlite", storetest.Open}, {"postgres", storetest.OpenPostgres}} {
		b.Run(kind.name, func(b *testing.B) {
			db := kind.open(b)
			ring, err := keys.New(keys.Generate())
			if err != nil {
				b.Fatal(err)
			}
			s := &audit.Sealer{Store: db, Keys: ring, Clock: &clock.Movable{}}
			entries := make([]audit.Entry, 1000)
			for i := range entries {
				entries[i] = audit.Entry{At: s.Clock.Now(), Actor: "hub", Action: "search.closed", Subject: keys.NewID(), Ref: keys.NewID()}
			}
			for b.Loop() {
				b.StopTimer()
				err := db.Audit(ctx, func(ctx context.Context, t audit.Trail) error { return t.(audit.Tx).AddAudit(ctx, entries...) })
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				if n, err := s.Seal(ctx); err != nil || n != 1000 {
					b.Fatal(n, err)
				}
			}
			b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
