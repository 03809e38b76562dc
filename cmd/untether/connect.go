package main

import (
	"github.com/spf13/cobra"

	"untether/internal/connectcmd"
)

func connectCommand() *cobra.Command {
	var args connectcmd.Args
	c := &cobra.Command{
		Use:   "connect --config connector.yaml [--check]",
		Short: "An app's side: answer the hub's questions from the app's own database",
		Long: `Fetches tasks from a hub, looks the numbers up in the app's own database with one query a batch, and sends counts
back. It opens no port and only reads. deploy/connector.example.yaml explains every setting, docs/guides/connect.md the rest.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if args.ConfigPath == "" {
				return wrongUsagef("it needs --config connector.yaml; start from deploy/connector.example.yaml")
			}
			return saidAlready(connectcmd.Run(c.Context(), args, c.OutOrStdout(), c.ErrOrStderr()))
		},
	}
	c.Flags().StringVar(&args.ConfigPath, "config", "", "the connector's configuration `FILE`")
	c.Flags().BoolVar(&args.Check, "check", false, "try everything, say line by line what works, and end")
	return c
}
