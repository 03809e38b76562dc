package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// place is a database that can be measured: where the hub keeps its rows, and where the same rows are written bare.
type place struct {
	name      string
	hub, bare string // addresses for store.Open
	open      func(address string) (*sql.DB, error)
	size      func(address string) (int64, error) // bytes of the rows and their indexes
	done      func() error
}

// measureSearches prints complete searches a second on each database beside the bare cost of writing the same rows.
func (o options) measureSearches(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "untether-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	places := []place{sqlitePlace(dir)}
	if o.postgres != "" {
		p, err := postgresPlace(ctx, o.postgres)
		if err != nil {
			return err
		}
		places = append(places, p)
	}
	for _, p := range places {
		err := o.measureOn(ctx, p)
		if err = errors.Join(err, p.done()); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

func sqlitePlace(dir string) place {
	open := func(path string) (*sql.DB, error) {
		db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=cache_size(-65536)&_pragma=wal_autocheckpoint(8000)")
		if err == nil {
			db.SetMaxOpenConns(1)
		}
		return db, err
	}
	size := func(path string) (int64, error) {
		info, err := os.Stat(path)
		if err != nil {
			return 0, err
		}
		return info.Size(), nil
	}
	return place{"SQLite", filepath.Join(dir, "hub.db"), filepath.Join(dir, "bare.db"), open, size, func() error { return nil }}
}

// postgresPlace makes two schemas in a server.
func postgresPlace(ctx context.Context, address string) (place, error) {
	admin, err := sql.Open("pgx", address)
	if err != nil {
		return place{}, err
	}
	names := []string{fmt.Sprintf("bench_hub_%d", os.Getpid()), fmt.Sprintf("bench_bare_%d", os.Getpid())}
	var in [2]string
	for i, name := range names {
		if _, err := admin.ExecContext(ctx, `CREATE SCHEMA `+name); err != nil {
			return place{}, err
		}
		u, err := url.Parse(address)
		if err != nil {
			return place{}, err
		}
		q := u.Query()
		q.Set("search_path", name)
		u.RawQuery = q.Encode()
		in[i] = u.String()
	}
	size := func(string) (n int64, err error) {
		err = admin.QueryRowContext(ctx, `SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace
			WHERE s.nspname = $1 AND c.relkind = 'r'`, names[0]).Scan(&n)
		return n, err
	}
	done := func() error {
		for _, name := range names {
			if _, err := admin.ExecContext(context.WithoutCancel(ctx), `DROP SCHEMA `+name+` CASCADE`); err != nil {
				return err
			}
		}
		return admin.Close()
	}
	return place{"PostgreSQL", in[0], in[1], func(address string) (*sql.DB, error) { return sql.Open("pgx", address) }, size, done}, nil
}

// measureOn measures the hub and the bare rows in turn on one database.
func (o options) measureOn(ctx context.Context, p place) error {
	w, err := openWorld(ctx, p.hub, o.profile)
	if err != nil {
		return err
	}
	warm := o.searches / 10
	if _, err := o.runSearches(ctx, w, 0, warm); err != nil {
		return err
	}
	before, err := w.hub.readWritten()
	if err != nil {
		return err
	}
	cpu, memory := w.hub.cpu(), w.hub.memory()
	half, err := o.runSearches(ctx, w, warm, o.searches/2)
	if err != nil {
		return err
	}
	memoryHalf := w.hub.memory()
	rest, err := o.runSearches(ctx, w, warm+o.searches/2, o.searches-o.searches/2)
	if err != nil {
		return err
	}
	cpu, memoryEnd := w.hub.cpu()-cpu, w.hub.memory()
	after, err := w.hub.readWritten()
	if err != nil {
		return err
	}
	if err := w.close(); err != nil {
		return err
	}
	wrote := after.minus(before)
	n := float64(o.searches)
	rate := n / (half + rest).Seconds()
	size, err := p.size(p.hub)
	if err != nil {
		return err
	}
	bareRate, err := o.measureBare(ctx, p, wrote)
	if err != nil {
		return err
	}
	fmt.Printf(`%s
  complete searches a second            %8.0f   (16 apps, %d people at a time, hub and peers on the same cores)
  the same rows written bare            %8.0f   ratio %.2f
  rows a search                         %8.1f   put or changed, in %.3f commits
  bytes a search                        %8.0f   rows and indexes
  the hub's processor time a search     %8.2f ms
  the hub's memory, MiB                 %8d after the warm-up, %d half way, %d at the end of %d searches
`, p.name, rate, o.inFlight, bareRate, rate/bareRate, wrote.rows()/n, wrote.commits/n, float64(size)/float64(o.searches+warm),
		cpu.Seconds()*1000/n, memory, memoryHalf, memoryEnd, o.searches)
	return nil
}

func (o options) measureBare(ctx context.Context, p place, wrote written) (float64, error) {
	left, err := p.open(p.hub)
	if err != nil {
		return 0, err
	}
	sets, err := readRows(left, wrote, o.searches)
	if err := errors.Join(err, left.Close()); err != nil {
		return 0, err
	}
	if err := empty(ctx, p.bare); err != nil {
		return 0, err
	}
	return bare(ctx, func() (*sql.DB, error) { return p.open(p.bare) }, sets, o.searches, float64(o.searches)/wrote.commits)
}

// runSearches runs n searches by people who search at the same time.
func (o options) runSearches(ctx context.Context, w *world, first, n int) (time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var people sync.WaitGroup
	begun := time.Now()
	for range o.inFlight {
		people.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := w.search(ctx, first+i); err != nil {
					cancel(err)
				}
			}
		})
	}
	people.Wait()
	return time.Since(begun), context.Cause(ctx)
}
