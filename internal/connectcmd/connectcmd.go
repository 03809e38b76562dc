// Package connectcmd is `untether connect`: it reads connector.yaml, then either checks it or serves the app until it is
// told to stop. It decides exit statuses and words; the work is package connector's.
package connectcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"untether/connector"
)

// Args are the command's flags.
type Args struct {
	ConfigPath string // --config
	Check      bool   // --check
}

// Exit statuses.
const (
	done   = 0
	failed = 1
	usage  = 2 // the configuration cannot be used
)

// Run does the command until ctx ends and returns the exit status: 0 done, 1 failed, 2 the configuration is wrong. The
// check's report goes to stdout; logs and errors go to stderr.
func Run(ctx context.Context, args Args, stdout, stderr io.Writer) int {
	err := run(ctx, args, stdout, stderr)
	var wrong *connector.ConfigError
	switch {
	case err == nil:
		return done
	case errors.As(err, &wrong):
		say(stderr, "connect: %v\nSee deploy/connector.example.yaml and docs/guides/connect.md.", err)
		return usage
	default:
		say(stderr, "connect: %v", err)
		return failed
	}
}

func say(w io.Writer, format string, a ...any) { _, _ = fmt.Fprintf(w, format+"\n", a...) }

func run(ctx context.Context, args Args, stdout, stderr io.Writer) error {
	config, err := connector.LoadConfig(args.ConfigPath)
	if err != nil {
		return err
	}
	if args.Check {
		return connector.Check(ctx, config, stdout)
	}
	return serve(ctx, config, slog.New(slog.NewTextHandler(stderr, nil)))
}

func serve(ctx context.Context, config *connector.Config, log *slog.Logger) error {
	database, err := config.OpenDatabase()
	if err != nil {
		return err
	}
	defer func() { _ = database.Close() }()
	options, err := config.Options(database, log)
	if err != nil {
		return err
	}
	c, err := connector.New(options)
	if err != nil {
		return err
	}
	log.Info("serving; stop with Ctrl-C", "hub", config.Hub, "client", config.ClientID)
	err = c.Run(ctx)
	s := c.Stats()
	log.Info("stopped", "leased", s.Leased, "answered", s.Answered, "refused", s.Refused, "unreadable", s.Unreadable,
		"unknownKind", s.UnknownKind, "abandoned", s.Abandoned, "hubFailures", s.HubFailures, "databaseFailures", s.DatabaseFailures)
	return err
}
