package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// sqliteDriver is one writing connection and a pool of reading ones. Writers queue for the one connection; those that wait
// are run one after another, each in a savepoint of its own, and committed together: one flush to disk serves them all, and
// one that fails is undone alone.
type sqliteDriver struct {
	path     string
	writing  *sql.DB
	reading  *sql.DB
	prepared *preparedConn
	jobs     chan *job
	closing  chan struct{}
	stopped  chan struct{}
	closed   sync.Once
	commits  atomic.Int64
}

// job is one Write that waits for the writing connection.
type job struct {
	ctx  context.Context
	fn   func(context.Context, *Tx) error
	done chan error
	// panicked carries a panic of fn back to the goroutine that asked.
	panicked any
}

// groupMax bounds how many transactions share a commit, so that none waits long for the others.
const groupMax = 128

func openSQLite(ctx context.Context, path string) (*sqliteDriver, error) {
	// SQLite would let the umask decide who may read the file; its companions follow it.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	f.Close()
	writing, err := sql.Open("sqlite", sqliteAddress(path, "rwc"))
	if err != nil {
		return nil, err
	}
	writing.SetMaxOpenConns(1)
	c, err := writing.Conn(ctx)
	if err != nil {
		writing.Close()
		return nil, err
	}
	reading, err := sql.Open("sqlite", sqliteAddress(path, "ro"))
	if err != nil {
		writing.Close()
		return nil, err
	}
	readers := max(4, runtime.NumCPU())
	reading.SetMaxOpenConns(readers)
	reading.SetMaxIdleConns(readers)
	d := &sqliteDriver{path: path, writing: writing, reading: reading, prepared: newPreparedConn(c), jobs: make(chan *job),
		closing: make(chan struct{}), stopped: make(chan struct{})}
	go d.run()
	return d, nil
}

// sqliteAddress opens in WAL mode with a flush at every commit (FULL): an accepted search survives a power cut.
func sqliteAddress(path, mode string) string {
	q := url.Values{"_pragma": {"busy_timeout(10000)", "foreign_keys(1)", "temp_store(memory)"}, "mode": {mode}}
	if mode == "ro" {
		q["_pragma"] = append(q["_pragma"], "cache_size(-8192)") // KiB, for each of several connections
	} else {
		q["_pragma"] = append(q["_pragma"], "cache_size(-65536)", "journal_mode(WAL)", "synchronous(FULL)", "wal_autocheckpoint(8000)") // pages; hot ones are written back once for many changes
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

func (d *sqliteDriver) write(ctx context.Context, fn func(context.Context, *Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// A statement that is interrupted takes the whole group's transaction with it: once begun, a job is not cancelled.
	j := &job{ctx: context.WithoutCancel(ctx), fn: fn, done: make(chan error, 1)}
	select {
	case d.jobs <- j:
	case <-d.closing:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	err := <-j.done
	if j.panicked != nil {
		panic(j.panicked)
	}
	return err
}

// run is the one writer.
func (d *sqliteDriver) run() {
	defer close(d.stopped)
	for {
		select {
		case j := <-d.jobs:
			d.group(j)
		case <-d.closing:
			return
		}
	}
}

// group runs a job and those that wait behind it in one transaction.
func (d *sqliteDriver) group(first *job) {
	ctx := context.Background()
	if _, err := d.prepared.exec(ctx, `BEGIN IMMEDIATE`); err != nil {
		first.done <- fmt.Errorf("a transaction cannot begin: %w", err)
		return
	}
	var good []*job
	broken := false
	ran := 0
	for j := first; j != nil; j = d.next(ran) {
		ran++
		var err error
		if err, broken = d.single(j); err == nil {
			good = append(good, j)
			continue
		}
		j.done <- err
		if broken {
			break
		}
	}
	err := d.commit(ctx, broken)
	for _, j := range good {
		j.done <- err
	}
}

// commit ends the group. A broken one, in which a job could not be undone alone, is undone as a whole.
func (d *sqliteDriver) commit(ctx context.Context, broken bool) error {
	err := errGroupBroken
	if !broken {
		_, err = d.prepared.exec(ctx, `COMMIT`)
		d.commits.Add(1)
	}
	if err != nil {
		_, undo := d.prepared.exec(ctx, `ROLLBACK`)
		err = errors.Join(fmt.Errorf("a transaction cannot be committed: %w", err), undo)
	}
	return err
}

// errGroupBroken is what the others of a group get when SQLite took the whole transaction back, as it does when the disk is
// full: nothing of theirs was kept.
var errGroupBroken = errors.New("another transaction of the same commit could not be undone alone")

// next gives a job that waits already, or nil.
func (d *sqliteDriver) next(ran int) *job {
	if ran >= groupMax {
		return nil
	}
	select {
	case j := <-d.jobs:
		return j
	default:
		return nil
	}
}

// single runs one job in a savepoint. broken tells that it failed and could not be undone alone.
func (d *sqliteDriver) single(j *job) (err error, broken bool) {
	ctx := context.Background()
	if _, err := d.prepared.exec(ctx, `SAVEPOINT job`); err != nil {
		return err, false
	}
	err = d.call(j)
	if err != nil {
		if _, undo := d.prepared.exec(ctx, `ROLLBACK TO job`); undo != nil {
			return errors.Join(err, undo), true
		}
	}
	if _, release := d.prepared.exec(ctx, `RELEASE job`); release != nil {
		return errors.Join(err, release), true
	}
	return err, false
}

func (d *sqliteDriver) call(j *job) (err error) {
	defer func() {
		if p := recover(); p != nil {
			j.panicked, err = p, errors.New("the transaction panicked")
		}
	}()
	return j.fn(j.ctx, &Tx{conn: d.prepared})
}

func (d *sqliteDriver) read(ctx context.Context, fn func(context.Context, *Tx) error) error {
	c, err := d.reading.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	plain := &plainConn{c}
	if _, err := plain.exec(ctx, `BEGIN`); err != nil {
		return err
	}
	defer plain.exec(context.WithoutCancel(ctx), `ROLLBACK`)
	return fn(ctx, &Tx{conn: plain})
}

// migrate runs before the first Write, on a pool of its own: the writing connection is taken for good.
func (d *sqliteDriver) migrate(run func(*goose.Provider) error) error {
	db, err := sql.Open("sqlite", sqliteAddress(d.path, "rwc"))
	if err != nil {
		return err
	}
	defer db.Close()
	return migrateWith(goose.DialectSQLite3, db, "WITHOUT ROWID", run)
}

func (d *sqliteDriver) committed() int64 { return d.commits.Load() }

func (d *sqliteDriver) close() error {
	d.closed.Do(func() { close(d.closing) })
	<-d.stopped
	return errors.Join(d.prepared.close(), d.reading.Close(), d.writing.Close())
}

// preparedConn keeps every statement prepared on its one connection: parsing costs more than running most of them.
type preparedConn struct {
	c          *sql.Conn
	statements map[string]*sql.Stmt
}

func newPreparedConn(c *sql.Conn) *preparedConn {
	return &preparedConn{c, map[string]*sql.Stmt{}}
}

func (p *preparedConn) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if s := p.statements[query]; s != nil {
		return s, nil
	}
	s, err := p.c.PrepareContext(ctx, query)
	if err == nil {
		p.statements[query] = s
	}
	return s, err
}

func (p *preparedConn) exec(ctx context.Context, query string, args ...any) (int64, error) {
	s, err := p.prepare(ctx, query)
	if err != nil {
		return 0, err
	}
	r, err := s.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func (p *preparedConn) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	s, err := p.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...)
}

func (p *preparedConn) each(ctx context.Context, query string, n int, args func(int) []any, scan func(int, scanner) error) error {
	return loop(ctx, p, query, n, args, scan)
}

func (p *preparedConn) changes(ctx context.Context, query string, n int, args func(int) []any) ([]int64, error) {
	return loopChanges(ctx, p, query, n, args)
}

func (p *preparedConn) close() error {
	for _, s := range p.statements {
		s.Close()
	}
	return p.c.Close()
}

// plainConn prepares nothing: for reading connections, which come and go.
type plainConn struct{ c *sql.Conn }

func (p *plainConn) exec(ctx context.Context, query string, args ...any) (int64, error) {
	r, err := p.c.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func (p *plainConn) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return p.c.QueryContext(ctx, query, args...)
}

func (p *plainConn) each(ctx context.Context, query string, n int, args func(int) []any, scan func(int, scanner) error) error {
	return loop(ctx, p, query, n, args, scan)
}

func (p *plainConn) changes(ctx context.Context, query string, n int, args func(int) []any) ([]int64, error) {
	return loopChanges(ctx, p, query, n, args)
}

// loopChanges is changes for a database in the same process.
func loopChanges(ctx context.Context, c conn, query string, n int, args func(int) []any) (changed []int64, err error) {
	changed = make([]int64, n)
	for i := range n {
		if changed[i], err = c.exec(ctx, query, args(i)...); err != nil {
			return nil, err
		}
	}
	return changed, nil
}

// loop is each for a database in the same process, where a statement costs no round trip.
func loop(ctx context.Context, c conn, query string, n int, args func(int) []any, scan func(int, scanner) error) error {
	for i := range n {
		if scan == nil {
			if _, err := c.exec(ctx, query, args(i)...); err != nil {
				return err
			}
			continue
		}
		rows, err := c.query(ctx, query, args(i)...)
		if err != nil {
			return err
		}
		for rows.Next() {
			if err := scan(i, rows); err != nil {
				rows.Close()
				return err
			}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
	}
	return nil
}
