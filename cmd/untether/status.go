package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// statusError is an exit status with what is said about it; without an error everything was said already.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.err.Error()
}

func (e *statusError) Unwrap() error { return e.err }

func wrongUsage(err error) error { return &statusError{usage, err} }

func wrongUsagef(format string, a ...any) error { return wrongUsage(fmt.Errorf(format, a...)) }

// saidAlready ends a command that has told on its own what it has to tell.
func saidAlready(status int) error {
	if status == done {
		return nil
	}
	return &statusError{status: status}
}

// report says what went wrong, and for wrong usage where help is, and gives the exit status.
func report(command *cobra.Command, err error, stderr io.Writer) int {
	var s *statusError
	switch {
	case err == nil:
		return done
	case !errors.As(err, &s):
		_, _ = fmt.Fprintf(stderr, "%s: %v\n", command.CommandPath(), err)
		return failed
	case s.err != nil:
		_, _ = fmt.Fprintf(stderr, "%s: %v\n", command.CommandPath(), s.err)
		if s.status == usage {
			_, _ = fmt.Fprintf(stderr, "Run \"%s --help\" for help.\n", command.CommandPath())
		}
	}
	return s.status
}

// unknownCommand is the root without a command that it knows.
func unknownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		root.SetOut(root.ErrOrStderr())
		_ = root.Help()
		return saidAlready(usage)
	}
	text := fmt.Sprintf("there is no command %q", args[0])
	root.SuggestionsMinimumDistance = 2
	if near := root.SuggestionsFor(args[0]); len(near) > 0 {
		text += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return wrongUsage(errors.New(text))
}

// orStopped takes an error for done when somebody asked to stop before everything was ready.
func orStopped(ctx context.Context, err error) error {
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return nil
	}
	return err
}

// noArguments refuses what stands beside the flags.
func noArguments(command *cobra.Command, args []string) error {
	if len(args) > 0 {
		return wrongUsagef("it takes no argument, but got %q", args[0])
	}
	return nil
}
