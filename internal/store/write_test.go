package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"untether/internal/keys"
	"untether/internal/store"
	"untether/internal/store/storetest"
	"untether/internal/verification"
	"untether/internal/work"
)

// refsIn gives the refs of everything in a lane, sorted.
func refsIn(t *testing.T, db *store.DB, lane string) []string {
	t.Helper()
	rows, err := storetest.SQL(t, db).Query(`SELECT ref FROM work WHERE lane = $1 ORDER BY ref`, lane)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var refs []string
	for rows.Next() {
		var ref string
		if err := rows.Scan(&ref); err != nil {
			t.Fatal(err)
		}
		refs = append(refs, ref)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return refs
}

// hold keeps the writer busy until release is called, so that what comes meanwhile is grouped behind it (on SQLite).
func hold(t *testing.T, db *store.DB) (release func()) {
	t.Helper()
	begun, end, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- db.Write(ctx, func(context.Context, tx) error {
			close(begun)
			<-end
			return nil
		})
	}()
	<-begun
	return func() {
		close(end)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

var errWanted = errors.New("wanted")

// Jobs that fail in every way stand among good ones: each gets its own outcome, and only the good ones count.
func TestOneFailingJobHurtsNobody(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		release := hold(t, db)
		add := func(ctx context.Context, tx tx, ref string) error {
			return tx.AddWork(ctx, []work.Item{item("s", ref, "l")})
		}
		var jobs sync.WaitGroup
		for i := range 40 {
			ref := fmt.Sprintf("good-%02d", i)
			jobs.Go(func() {
				if err := db.Write(ctx, func(ctx context.Context, tx tx) error { return add(ctx, tx, ref) }); err != nil {
					t.Errorf("%s: %v", ref, err)
				}
			})
			jobs.Go(func() {
				err := db.Write(ctx, func(ctx context.Context, tx tx) error {
					return errors.Join(add(ctx, tx, fmt.Sprintf("bad-%02d", i)), errWanted)
				})
				if !errors.Is(err, errWanted) {
					t.Errorf("the job's own error became %v", err)
				}
			})
			jobs.Go(func() { // a statement that fails, after one that did not
				err := db.Write(ctx, func(ctx context.Context, tx tx) error {
					twice := fmt.Sprintf("twice-%02d", i)
					return errors.Join(add(ctx, tx, twice), add(ctx, tx, twice))
				})
				if err == nil {
					t.Error("the same key went in twice")
				}
			})
			jobs.Go(func() {
				p := caught(func() {
					db.Write(ctx, func(ctx context.Context, tx tx) error {
						if err := add(ctx, tx, fmt.Sprintf("panic-%02d", i)); err != nil {
							t.Error(err)
						}
						panic(i)
					})
				})
				if p != i {
					t.Errorf("panic %d came back as %v", i, p)
				}
			})
		}
		release()
		jobs.Wait()
		got := refsIn(t, db, "l")
		if len(got) != 40 || got[0] != "good-00" || got[39] != "good-39" {
			t.Errorf("kept: %v", got)
		}
	})
}

// SQLite takes back the whole transaction, as it does when the disk is full: whoever shared the commit is told.
func TestSQLiteTakesBackAWholeCommit(t *testing.T) {
	db := storetest.Open(t)
	for range 5 {
		begun, end, first := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		go func() { // may share the commit that is taken back
			first <- db.Write(ctx, func(context.Context, tx) error { close(begun); <-end; return nil })
		}()
		<-begun
		var kept, lost atomic.Int64
		var jobs sync.WaitGroup
		for i := range 30 {
			jobs.Go(func() {
				err := db.Write(ctx, func(ctx context.Context, tx tx) error {
					if err := tx.AddWork(ctx, []work.Item{item("s", keys.NewID(), "l")}); err != nil || i != 15 {
						return err
					}
					return errors.Join(errWanted, tx.Exec(ctx, `ROLLBACK`))
				})
				if err == nil {
					kept.Add(1)
				} else {
					lost.Add(1)
				}
				if i == 15 && !errors.Is(err, errWanted) {
					t.Errorf("the job's own error became %v", err)
				}
			})
		}
		close(end)
		jobs.Wait()
		<-first
		if got := int64(len(refsIn(t, db, "l"))); got != kept.Load() || lost.Load() == 0 {
			t.Errorf("%d kept, %d were told so, %d lost", got, kept.Load(), lost.Load())
		}
		if _, err := storetest.SQL(t, db).Exec(`DELETE FROM work`); err != nil {
			t.Fatal(err)
		}
	}
}

// An error that fn swallows: PostgreSQL would take the commit for a rollback and say that all is well.
func TestSwallowedError(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		addWork(t, db, item("s", "r", "l"))
		err := db.Write(ctx, func(ctx context.Context, tx tx) error {
			tx.AddWork(ctx, []work.Item{item("s", "r", "l")})
			return tx.SaveLimits(ctx, verification.Limits{Subject: "nobody"})
		})
		if db.Name() == "postgres" && err == nil {
			t.Error("nothing was kept, and nobody was told")
		}
		addWork(t, db, item("s", "r2", "l")) // the connection is good
	})
}

// What one goroutine commits before it asks the next thing, the next thing sees.
func TestManyWritersInOrder(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		const writers, each = 16, 20
		var writing sync.WaitGroup
		for w := range writers {
			writing.Go(func() {
				subject := fmt.Sprintf("s%d", w)
				for i := range each {
					err := db.Write(ctx, func(ctx context.Context, tx tx) error {
						l, err := tx.LockLimits(ctx, subject, start)
						if err != nil {
							return err
						}
						if l.Failures != i {
							t.Errorf("writer %d sees %d at %d", w, l.Failures, i)
						}
						l.Failures++
						return tx.SaveLimits(ctx, l)
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		writing.Wait()
	})
}

// More jobs than fit into one commit wait together: each runs once.
func TestMoreJobsThanACommitHolds(t *testing.T) {
	db := storetest.Open(t)
	release := hold(t, db)
	ran := map[int]int{} // written by the one writer alone
	var jobs sync.WaitGroup
	for i := range 300 {
		jobs.Go(func() {
			if err := db.Write(ctx, func(context.Context, tx) error { ran[i]++; return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	release()
	jobs.Wait()
	for i := range 300 {
		if ran[i] != 1 {
			t.Fatalf("job %d ran %d times", i, ran[i])
		}
	}
}

func TestCancelledBeforeItBegins(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		ran := false
		err := db.Write(cancelled, func(context.Context, tx) error { ran = true; return nil })
		if !errors.Is(err, context.Canceled) || ran {
			t.Errorf("write: %v, ran %v", err, ran)
		}
		err = db.Read(cancelled, func(context.Context, tx) error { ran = true; return nil })
		if !errors.Is(err, context.Canceled) || ran {
			t.Errorf("read: %v, ran %v", err, ran)
		}
	})
}

// A job that waits for its turn may give up; it then never runs.
func TestCancelledInTheQueue(t *testing.T) {
	db := storetest.Open(t)
	release := hold(t, db)
	waiting, cancel := context.WithCancel(ctx)
	ended := make(chan error)
	ran := false
	go func() { ended <- db.Write(waiting, func(context.Context, tx) error { ran = true; return nil }) }()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	release()
	addWork(t, db, item("s", "r", "l"))
	if ran {
		t.Error("a job that was given up ran")
	}
}

// Whoever is told that it worked, has it; whoever is told that it failed, has nothing of it.
func TestCancelledInTheMiddle(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		var want []string
		for i := range 10 {
			running, cancel := context.WithCancel(ctx)
			ref := fmt.Sprintf("r%d", i)
			err := db.Write(running, func(ctx context.Context, tx tx) error {
				if i%3 == 0 {
					cancel()
				}
				if err := tx.AddWork(ctx, []work.Item{item("s", ref, "l")}); err != nil {
					return err
				}
				if i%3 == 1 {
					cancel() // only the commit is left: it is done
				}
				return tx.AddWork(ctx, []work.Item{item("s2", ref, "other")})
			})
			cancel()
			if err == nil {
				want = append(want, ref)
			}
		}
		if got := refsIn(t, db, "l"); !slices.Equal(got, want) {
			t.Errorf("kept %v, told %v", got, want)
		}
		if got := refsIn(t, db, "other"); !slices.Equal(got, want) {
			t.Errorf("kept %v, told %v", got, want)
		}
	})
}

func TestCancelledAtTheCommit(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		running, cancel := context.WithCancel(ctx)
		err := db.Write(running, func(ctx context.Context, tx tx) error {
			defer cancel()
			return tx.AddWork(ctx, []work.Item{item("s", "r", "l")})
		})
		if err != nil {
			t.Errorf("a commit was broken off: %v", err)
		}
		if got := refsIn(t, db, "l"); len(got) != 1 {
			t.Errorf("kept %v", got)
		}
	})
}

// Close waits for what has begun, and what it lets in is kept.
func TestCloseWhileWriting(t *testing.T) {
	storetest.EachAddress(t, func(t *testing.T, address string) {
		db, err := store.Open(ctx, address)
		if err != nil {
			t.Fatal(err)
		}
		release := hold(t, db)
		const writers = 30
		var kept, refused atomic.Int64
		var writing sync.WaitGroup
		for i := range writers {
			writing.Go(func() {
				switch err := db.Write(ctx, func(ctx context.Context, tx tx) error {
					return tx.AddWork(ctx, []work.Item{item("s", fmt.Sprint(i), "l")})
				}); {
				case err == nil:
					kept.Add(1)
				case errors.Is(err, store.ErrClosed):
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		closed := make(chan error)
		go func() { closed <- db.Close() }()
		select {
		case <-closed:
			t.Error("closed under a running transaction")
		default:
		}
		release()
		if err := <-closed; err != nil {
			t.Error(err)
		}
		writing.Wait()
		var n int64
		if err := storetest.Dial(t, address).QueryRow(`SELECT COUNT(*) FROM work`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n != kept.Load() || kept.Load()+refused.Load() != writers {
			t.Errorf("%d rows; %d were told that they are kept, %d refused", n, kept.Load(), refused.Load())
		}
	})
}

// Two transactions take two locks in opposite order: PostgreSQL ends one, which is tried again.
func TestDeadlockIsTriedAgain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		if db.Name() == "sqlite" {
			return // one writer: there is nobody to wait for
		}
		var both sync.WaitGroup
		both.Add(2)
		var tries atomic.Int64
		var running sync.WaitGroup
		for _, order := range [][2]string{{"a", "b"}, {"b", "a"}} {
			running.Go(func() {
				firstTry := true
				err := db.Write(ctx, func(ctx context.Context, tx tx) error {
					tries.Add(1)
					for i, subject := range order {
						l, err := tx.LockLimits(ctx, subject, start)
						if err != nil {
							return err
						}
						l.Failures++
						if err := tx.SaveLimits(ctx, l); err != nil {
							return err
						}
						if i == 0 && firstTry {
							firstTry = false
							both.Done()
							both.Wait() // each holds one lock now
						}
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		running.Wait()
		if tries.Load() < 3 {
			t.Errorf("%d tries: there was no deadlock", tries.Load())
		}
		write(t, db, func(ctx context.Context, tx tx) error {
			for _, subject := range []string{"a", "b"} {
				if l, err := tx.LockLimits(ctx, subject, start); err != nil || l.Failures != 2 {
					t.Errorf("%s: %d, %v", subject, l.Failures, err)
				}
			}
			return nil
		})
	})
}
