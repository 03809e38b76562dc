// Command bench measures the hub as a process of its own against real peers on loopback, and prints each figure beside its
// alternative of the same run: complete searches a second beside the bare cost of writing the same rows, and the times of
// answers that must not differ. Absolute times depend on the machine; the ratios are what to compare.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == hubMode {
		if err := runHub(); err != nil {
			fmt.Fprintln(os.Stderr, "bench hub:", err)
			os.Exit(1)
		}
		return
	}
	var o options
	flag.IntVar(&o.searches, "searches", 20_000, "complete searches to measure, after a warm-up of a tenth")
	flag.IntVar(&o.inFlight, "in-flight", 256, "people who search at the same time")
	flag.StringVar(&o.postgres, "postgres", os.Getenv("UNTETHER_TEST_POSTGRES"), "URL of a PostgreSQL server to measure too; a schema is made in it and dropped")
	flag.StringVar(&o.profile, "profile", "", "write the hub's CPU profile to this file")
	flag.IntVar(&o.samples, "samples", 4_000, "requests of each kind for the comparison of times")
	only := flag.String("only", "", "search or times; empty: both")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if err := o.run(ctx, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options say what to measure.
type options struct {
	searches, inFlight, samples int
	postgres, profile           string
}

func (o options) run(ctx context.Context, only string) error {
	if only != "times" {
		if err := o.measureSearches(ctx); err != nil {
			return err
		}
	}
	if only != "search" {
		return o.measureTimes(ctx)
	}
	return nil
}
