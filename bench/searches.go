package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// measureSearches prints complete searches a second on each database beside the bare cost of writing the same rows.
func (o options) measureSearches(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "untether-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	return o.measureOn(ctx, "SQLite", filepath.Join(dir, "hub.db"))
}

func (o options) measureOn(ctx context.Context, name, database string) error {
	w, err := openWorld(ctx, database, o.profile)
	if err != nil {
		return err
	}
	warm := o.searches / 10
	if _, err := o.runSearches(ctx, w, 0, warm); err != nil {
		return err
	}
	cpu, memory := w.hub.cpu(), w.hub.memory()
	took, err := o.runSearches(ctx, w, warm, o.searches)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %.0f complete searches a second, %.2f ms of the hub's processor time each; memory %d MiB, then %d MiB\n", name,
		float64(o.searches)/took.Seconds(), (w.hub.cpu()-cpu).Seconds()*1000/float64(o.searches), memory, w.hub.memory())
	return w.close()
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
