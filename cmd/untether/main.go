// Command untether is the hub, an app's side of it, and a demonstration of both, in one binary. This package holds flags,
// wiring and printing; nothing is decided here.
//
// Data goes to stdout, words to stderr. Exit status: 0 done, 1 failed, 2 wrong usage, 3 done but some input was rejected.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit statuses.
const (
	done   = 0
	failed = 1
	usage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the first signal asks to stop; from then on the next one kills
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run does one command and gives the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := rootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	command, err := root.ExecuteContextC(ctx)
	return report(command, err, stderr)
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "untether",
		Short: "清号 Untether: every account tied to a phone number, found before the number goes to a stranger",
		Long: `清号 Untether finds every internet account tied to a phone number, before the number goes to a stranger.

To look around:    untether demo
To run a hub:      untether serve --config untether.yaml
To join an app:    untether connect --config connector.yaml`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE:          unknownCommand,
	}
	root.SetVersionTemplate("untether {{.Version}}\n")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return wrongUsage(err) })
	root.AddCommand(demoCommand(), serveCommand(), connectCommand(), auditCommand(), versionCommand())
	return root
}
