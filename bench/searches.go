package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
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
	clear     func(ctx context.Context) error     // empties the bare database
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
	bare := filepath.Join(dir, "bare.db")
	clear := func(context.Context) error {
		return errors.Join(remove(bare), remove(bare+"-wal"), remove(bare+"-shm"))
	}
	return place{"SQLite", filepath.Join(dir, "hub.db"), bare, open, size, clear, func() error { return nil }}
}

// remove takes a file away that may not be there.
func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
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
	clear := func(ctx context.Context) error {
		_, err := admin.ExecContext(ctx, `DROP SCHEMA `+names[1]+` CASCADE; CREATE SCHEMA `+names[1])
		return err
	}
	done := func() error {
		for _, name := range names {
			if _, err := admin.ExecContext(context.WithoutCancel(ctx), `DROP SCHEMA `+name+` CASCADE`); err != nil {
				return err
			}
		}
		return admin.Close()
	}
	return place{"PostgreSQL", in[0], in[1], func(address string) (*sql.DB, error) { return sql.Open("pgx", address) }, size, clear, done}, nil
}

// rounds is how often the hub and the bare rows take turns: a machine's speed drifts, and a ratio of neighbours drifts less.
const rounds = 3

// round is one turn of both.
type round struct {
	rate, bare float64 // searches a second
	memory     int     // MiB, at the end of the hub's turn
}

func (r round) ratio() float64 { return r.rate / r.bare }

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
	done, memory := warm, w.hub.memory()
	var turns []round
	var cpu time.Duration
	for range rounds {
		used := w.hub.cpu()
		n := o.searches / rounds
		took, err := o.runSearches(ctx, w, done, n)
		if err != nil {
			return err
		}
		cpu += w.hub.cpu() - used
		done += n
		turn := round{rate: float64(n) / took.Seconds(), memory: w.hub.memory()}
		if turn.bare, err = o.measureBare(ctx, p, w, done); err != nil {
			return err
		}
		turns = append(turns, turn)
	}
	wrote, err := w.hub.readWritten()
	if err != nil {
		return err
	}
	if err := w.close(); err != nil {
		return err
	}
	size, err := p.size(p.hub)
	if err != nil {
		return err
	}
	p.print(turns, o.inFlight, done, wrote, size, memory, cpu/time.Duration(done-warm))
	return nil
}

func (p place) print(turns []round, inFlight, searches int, wrote written, size int64, memory int, cpu time.Duration) {
	fmt.Printf("%s: %d searches of 16 apps, %d people at a time, hub and peers on the same cores\n", p.name, searches, inFlight)
	for _, t := range turns {
		fmt.Printf("  complete searches a second %6.0f   the same rows written bare %6.0f   ratio %.2f   the hub's memory %d MiB\n",
			t.rate, t.bare, t.ratio(), t.memory)
	}
	slices.SortFunc(turns, func(a, b round) int { return cmp.Compare(a.ratio(), b.ratio()) })
	n := float64(searches)
	fmt.Printf("  median ratio %.2f; %.1f rows a search put or changed, in %.3f commits; %.0f bytes a search with indexes; %.2f ms of the hub's processor time a search; %d MiB after the warm-up\n",
		turns[len(turns)/2].ratio(), wrote.rows()/n, wrote.commits/n, float64(size)/n, cpu.Seconds()*1000, memory)
}

// measureBare writes the rows that the hub has written so far into an empty database beside it.
func (o options) measureBare(ctx context.Context, p place, w *world, searches int) (float64, error) {
	wrote, err := w.hub.readWritten()
	if err != nil {
		return 0, err
	}
	left, err := p.open(p.hub)
	if err != nil {
		return 0, err
	}
	sets, err := readRows(left, wrote, searches)
	if err := errors.Join(err, left.Close()); err != nil {
		return 0, err
	}
	if err := empty(ctx, p.bare); err != nil {
		return 0, err
	}
	rate, err := bare(ctx, func() (*sql.DB, error) { return p.open(p.bare) }, sets, searches, float64(searches)/wrote.commits)
	return rate, errors.Join(err, p.clear(ctx))
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
