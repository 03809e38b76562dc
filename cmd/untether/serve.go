package main

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/spf13/cobra"

	"untether/internal/hub"
)

// serveNeeds is what serve says without a configuration.
const serveNeeds = `it needs a configuration: untether serve --config untether.yaml

A hub is nothing without its peers, so there is no default. The file says
  - where it listens, and the host names that people reach it by;
  - its database: the path of a SQLite file, or where a PostgreSQL address stands;
  - its root key, a file of 64 hexadecimal digits that never goes into the database;
  - the SMS centre (SMPP 3.4) and the short code that texts come from;
  - the carriers, and the networks that calls to them may go to;
  - the clients: each app's, each carrier's and each channel's credential.
Start from deploy/untether.example.yaml, which explains every line; docs/guides/serve.md goes through it.
To see a hub with a whole country around it and no set-up: untether demo`

func serveCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "serve --config untether.yaml",
		Short: "Run the hub",
		Long: `Runs the hub until it is told to stop (Ctrl-C, SIGTERM): no new requests, then those in flight, then the workers, so that
nothing is lost. It brings the database's tables up to date by itself. deploy/untether.example.yaml explains every setting.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if path == "" {
				return wrongUsage(errors.New(serveNeeds))
			}
			return serve(c, path)
		},
	}
	c.Flags().StringVar(&path, "config", "", "the hub's configuration `FILE`")
	return c
}

func serve(c *cobra.Command, path string) error {
	o, err := hub.LoadConfig(path)
	if err != nil {
		return wrongUsage(fmt.Errorf("%w\nsee deploy/untether.example.yaml and docs/guides/serve.md", err))
	}
	h, err := hub.Open(c.Context(), o)
	if err != nil {
		return orStopped(c.Context(), withAdvice(err, "another program has it; end that one, or change listen or opsListen"))
	}
	o.Log.Info("serving; stop with Ctrl-C", "url", h.URL(), "ops", h.OpsURL(), "version", version())
	err = h.Run(c.Context())
	o.Log.Info("stopped")
	return err
}

// withAdvice adds what to do when an address is taken.
func withAdvice(err error, advice string) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w: %s", err, advice)
	}
	return err
}
