package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"untether/internal/demo"
)

type demoArgs struct {
	listen    string
	dir       string
	noBrowser bool
}

func demoCommand() *cobra.Command {
	var args demoArgs
	c := &cobra.Command{
		Use:   "demo [--listen 127.0.0.1:8080] [--data DIR] [--no-browser]",
		Short: "A whole small country on this machine, no set-up",
		Long: `Runs a hub with a small made-up country around it: four carriers, sixteen apps, an SMS centre and everybody's handset.
Nothing leaves this machine, and other machines cannot reach it. Without --data everything is forgotten at the end.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return runDemo(c, args) },
	}
	c.Flags().StringVar(&args.listen, "listen", demo.ListenDefault, "`ADDRESS` on this machine")
	c.Flags().StringVar(&args.dir, "data", "", "keep the country and the hub's database in `DIR`; the same one goes on where it stood")
	c.Flags().BoolVar(&args.noBrowser, "no-browser", false, "do not open the browser")
	return c
}

func runDemo(c *cobra.Command, args demoArgs) error {
	signal.Ignore(syscall.SIGPIPE) // `untether demo | head -1` goes on serving
	log := slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelError}))
	d, err := demo.Open(c.Context(), demo.Options{Listen: args.listen, Dir: args.dir, Log: log})
	if errors.Is(err, demo.ErrNotLoopback) {
		return wrongUsage(err)
	}
	if err != nil {
		return orStopped(c.Context(), withAdvice(err, "another program has it; end that one, or take any free port with --listen 127.0.0.1:0"))
	}
	out := c.OutOrStdout()
	_, _ = fmt.Fprint(out, welcome(d, args.dir, styleOf(out)))
	if !args.noBrowser && onTerminal(out) {
		openBrowser(c.Context(), d.URL(), os.Getenv)
	}
	err = d.Run(c.Context())
	if onTerminal(out) {
		_, _ = fmt.Fprintln(c.ErrOrStderr(), "\n再见。Goodbye.")
	}
	return err
}
