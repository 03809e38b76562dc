// Package store keeps everything that must survive: on SQLite (a file, the default) or PostgreSQL. One SQL text serves both;
// the two differ in how they are opened, in how a transaction is run, and in one clause (Tx.skipLocked).
//
// It decides nothing. What a transaction commits, it commits whole: state, audit and outgoing work. Rules see it through the
// narrow interfaces that they declare; Tx satisfies them all.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing/fstest"
	"time"

	"github.com/pressly/goose/v3"
)

// DB is an open database.
type DB struct {
	driver driver
	name   string // sqlite or postgres, for messages and metrics
	gate   gate
	meter  meter
}

// driver is the difference between the two databases.
type driver interface {
	// write runs fn in a transaction and commits it.
	write(ctx context.Context, fn func(context.Context, *Tx) error) error
	// read runs fn on a consistent view.
	read(ctx context.Context, fn func(context.Context, *Tx) error) error
	migrate(run func(*goose.Provider) error) error
	committed() int64
	close() error
}

// conn is what a transaction speaks through.
type conn interface {
	exec(ctx context.Context, query string, args ...any) (int64, error)
	query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	// each runs one statement for n sets of arguments, in order; scan, when given, gets every row it returns.
	each(ctx context.Context, query string, n int, args func(i int) []any, scan func(i int, row scanner) error) error
	// changes is each for a statement that returns no rows; it gives how many rows every set of arguments changed.
	changes(ctx context.Context, query string, n int, args func(i int) []any) ([]int64, error)
}

type scanner interface{ Scan(dest ...any) error }

// Tx is one transaction. It is good until the function that got it returns.
type Tx struct {
	conn
	meter      *meter // nil: nothing is changed
	skipLocked string // FOR UPDATE SKIP LOCKED where the database has several writers
}

// Open opens a database by its address and brings its tables up to date: postgres://… for PostgreSQL, else the path of a
// SQLite file, which is made when it is not there.
func Open(ctx context.Context, address string) (*DB, error) {
	db, err := connect(ctx, address)
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

func connect(ctx context.Context, address string) (*DB, error) {
	if strings.HasPrefix(address, "postgres://") || strings.HasPrefix(address, "postgresql://") {
		d, err := openPostgres(ctx, address)
		if err != nil {
			return nil, fmt.Errorf("PostgreSQL cannot be opened: %w", err)
		}
		return &DB{driver: d, name: "postgres"}, nil
	}
	if strings.Contains(address, "://") {
		return nil, errors.New("the database's address must be postgres://… or the path of a SQLite file")
	}
	d, err := openSQLite(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("the SQLite file %s cannot be opened: %w", address, err)
	}
	return &DB{driver: d, name: "sqlite"}, nil
}

// Name is sqlite or postgres.
func (db *DB) Name() string { return db.name }

// Close waits for the transactions that have begun, or wait for their turn, and lets the database go. Closing again is
// nothing.
func (db *DB) Close() error {
	if !db.gate.shut() {
		return nil
	}
	return db.driver.close()
}

// Write runs fn in a transaction. What fn did is committed when it returns nil, and undone otherwise. fn may run more than
// once when the database asks for it, so it must not change anything but through tx; on SQLite it runs in another goroutine,
// which it must not leave by runtime.Goexit, and cannot be cancelled once it has begun.
//
// fn must return the error of a statement that failed: on PostgreSQL nothing after it counts.
func (db *DB) Write(ctx context.Context, fn func(context.Context, *Tx) error) error {
	if err := db.gate.enter(); err != nil {
		return err
	}
	defer db.gate.leave()
	db.meter.transactions.Add(1)
	return db.driver.write(ctx, func(ctx context.Context, tx *Tx) error {
		return fn(ctx, &Tx{conn: metered{tx.conn, &db.meter}, meter: &db.meter, skipLocked: tx.skipLocked})
	})
}

// Read runs fn on a consistent view that nothing in fn may change.
func (db *DB) Read(ctx context.Context, fn func(context.Context, *Tx) error) error {
	if err := db.gate.enter(); err != nil {
		return err
	}
	defer db.gate.leave()
	return db.driver.read(ctx, fn)
}

// ErrClosed is what a transaction gets that comes after Close.
var ErrClosed = errors.New("the database is closed")

// gate counts the transactions inside, and lets nobody in once it is shut.
type gate struct {
	mu     sync.Mutex
	closed bool
	inside sync.WaitGroup
}

func (g *gate) enter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return ErrClosed
	}
	g.inside.Add(1)
	return nil
}

func (g *gate) leave() { g.inside.Done() }

// shut waits until nobody is inside, and tells whether it was open until now.
func (g *gate) shut() bool {
	g.mu.Lock()
	was := !g.closed
	g.closed = true
	g.mu.Unlock()
	g.inside.Wait()
	return was
}

// Ping tells whether the database answers.
func (db *DB) Ping(ctx context.Context) error {
	return db.Read(ctx, func(ctx context.Context, tx *Tx) error {
		return tx.one(ctx, func(row scanner) error { var n int; return row.Scan(&n) }, `SELECT 1`)
	})
}

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings the tables up to date.
func (db *DB) Migrate(ctx context.Context) error {
	return db.driver.migrate(func(p *goose.Provider) error {
		if _, err := p.Up(ctx); err != nil {
			return fmt.Errorf("the database's tables cannot be brought up to date: %w", err)
		}
		return nil
	})
}

// MigrateDown takes every table away, with all that is in it: for tests of the migrations.
func (db *DB) MigrateDown(ctx context.Context) error {
	return db.driver.migrate(func(p *goose.Provider) error {
		_, err := p.DownTo(ctx, 0)
		return err
	})
}

func migrateWith(dialect goose.Dialect, db *sql.DB, clustered string, run func(*goose.Provider) error) error {
	files, err := migrationsFor(clustered)
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(dialect, db, files)
	if err != nil {
		return err
	}
	return run(p)
}

// migrationsFor gives the migrations with the mark /*clustered*/ replaced by what the database knows.
func migrationsFor(clustered string) (fs.FS, error) {
	out := fstest.MapFS{}
	err := fs.WalkDir(migrations, "migrations", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(migrations, path)
		if err != nil {
			return err
		}
		out[d.Name()] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(string(text), "/*clustered*/", clustered))}
		return nil
	})
	return out, err
}

// one runs a query for at most one row; sql.ErrNoRows when there is none.
func (tx *Tx) one(ctx context.Context, scan func(scanner) error, query string, args ...any) error {
	found := false
	err := tx.all(ctx, func(row scanner) error {
		found = true
		return scan(row)
	}, query, args...)
	if err == nil && !found {
		return sql.ErrNoRows
	}
	return err
}

// all runs a query and gives every row to scan.
func (tx *Tx) all(ctx context.Context, scan func(scanner) error, query string, args ...any) error {
	rows, err := tx.query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	n := int64(0)
	for ; rows.Next(); n++ {
		if err := scan(rows); err != nil {
			return err
		}
	}
	if tx.meter != nil {
		tx.meter.of(query).rows.Add(n)
	}
	return rows.Err()
}

// micros is how an instant is stored: microseconds since 1970, the zero Time as 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// instant reads what micros wrote.
func instant(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us)
}
