package store

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// postgresDriver is a pool of connections; PostgreSQL itself groups the commits.
type postgresDriver struct {
	db      *sql.DB
	commits atomic.Int64
}

// writeTriesMax bounds how often a transaction is tried that PostgreSQL ended to break a deadlock.
const writeTriesMax = 5

func openPostgres(ctx context.Context, address string) (*postgresDriver, error) {
	cfg, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, errors.New("the address cannot be read") // err repeats the address, which may hold a password
	}
	db := stdlib.OpenDB(*cfg)
	db.SetMaxOpenConns(16)
	db.SetMaxIdleConns(16)
	db.SetConnMaxIdleTime(5 * time.Minute)
	if err := db.PingContext(ctx); err != nil {
		db.Close()
		return nil, err
	}
	return &postgresDriver{db: db}, nil
}

func (d *postgresDriver) write(ctx context.Context, fn func(context.Context, *Tx) error) error {
	var err error
	for range writeTriesMax {
		err = d.transaction(ctx, `BEGIN`, `COMMIT`, fn)
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.Code != "40P01" && pg.Code != "40001" { // deadlock, serialization failure
			return err
		}
	}
	return err
}

func (d *postgresDriver) read(ctx context.Context, fn func(context.Context, *Tx) error) error {
	return d.transaction(ctx, `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`, `ROLLBACK`, fn)
}

func (d *postgresDriver) transaction(ctx context.Context, begin, end string, fn func(context.Context, *Tx) error) (err error) {
	c, err := d.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	pc := &postgresConn{plainConn{c}}
	if _, err := pc.exec(ctx, begin); err != nil {
		return err
	}
	ended := false
	defer func() { // also when fn panics
		if ended {
			return
		}
		if _, undo := pc.exec(context.WithoutCancel(ctx), `ROLLBACK`); undo != nil {
			c.Raw(func(any) error { return sqldriver.ErrBadConn }) // never back into the pool in the middle of a transaction
		}
	}()
	if err := fn(ctx, &Tx{conn: pc, skipLocked: "FOR UPDATE SKIP LOCKED"}); err != nil {
		return err
	}
	if err := pc.sound(); err != nil {
		return err
	}
	// Not cancelled any more: whether a commit that was broken off counts, nobody could tell.
	_, err = pc.exec(context.WithoutCancel(ctx), end)
	ended = err == nil
	if ended && end == `COMMIT` {
		d.commits.Add(1)
	}
	return err
}

func (d *postgresDriver) committed() int64 { return d.commits.Load() }

// migrationLock is the advisory lock that replicas which start together take one after another.
const migrationLock = 0x756e7465 // "unte"

func (d *postgresDriver) migrate(run func(*goose.Provider) error) error {
	ctx := context.Background()
	c, err := d.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.ExecContext(ctx, `SELECT pg_advisory_lock($1)`, migrationLock); err != nil {
		return err
	}
	err = migrateWith(goose.DialectPostgres, d.db, "", run)
	_, unlock := c.ExecContext(ctx, `SELECT pg_advisory_unlock($1)`, migrationLock)
	return errors.Join(err, unlock)
}

func (d *postgresDriver) close() error { return d.db.Close() }

// postgresConn sends the statements of each in one round trip.
type postgresConn struct{ plainConn }

// sound tells whether a COMMIT would commit. After a statement that failed PostgreSQL takes COMMIT for ROLLBACK and says
// that all is well.
func (p *postgresConn) sound() error {
	return p.c.Raw(func(driverConn any) error {
		if driverConn.(*stdlib.Conn).Conn().PgConn().TxStatus() != 'T' {
			return errors.New("a statement of the transaction failed, and its error was not returned")
		}
		return nil
	})
}

func (p *postgresConn) each(ctx context.Context, query string, n int, args func(int) []any, scan func(int, scanner) error) error {
	return p.batch(ctx, query, n, args, func(results pgx.BatchResults) error { return drain(results, n, scan) })
}

func (p *postgresConn) changes(ctx context.Context, query string, n int, args func(int) []any) ([]int64, error) {
	changed := make([]int64, n)
	err := p.batch(ctx, query, n, args, func(results pgx.BatchResults) error {
		for i := range n {
			tag, err := results.Exec()
			if err != nil {
				return err
			}
			changed[i] = tag.RowsAffected()
		}
		return nil
	})
	return changed, err
}

// batch sends one statement with n sets of arguments in one round trip.
func (p *postgresConn) batch(ctx context.Context, query string, n int, args func(int) []any, take func(pgx.BatchResults) error) error {
	if n == 0 {
		return nil
	}
	batch := &pgx.Batch{}
	for i := range n {
		batch.Queue(query, args(i)...)
	}
	return p.c.Raw(func(driverConn any) error {
		results := driverConn.(*stdlib.Conn).Conn().SendBatch(ctx, batch)
		err := take(results)
		return errors.Join(err, results.Close())
	})
}

func drain(results pgx.BatchResults, n int, scan func(int, scanner) error) error {
	for i := range n {
		if scan == nil {
			if _, err := results.Exec(); err != nil {
				return err
			}
			continue
		}
		rows, err := results.Query()
		if err != nil {
			return err
		}
		for rows.Next() {
			if err := scan(i, rows); err != nil {
				rows.Close()
				return err
			}
		}
		rows.Close()
		if err := rows.Err(); err != nil {
			return err
		}
	}
	return nil
}
