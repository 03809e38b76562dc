package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"untether/internal/audit"
	"untether/internal/hub"
)

func auditCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "audit",
		Short: "The audit trail",
		Args:  cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(c, args)
			}
			return wrongUsagef("it needs a command: verify")
		},
	}
	c.AddCommand(auditVerifyCommand())
	return c
}

type auditArgs struct {
	configPath string
	heads      []string
	asJSON     bool
}

func auditVerifyCommand() *cobra.Command {
	var args auditArgs
	c := &cobra.Command{
		Use:   "verify --config untether.yaml [--head BATCH:HASH]… [--json]",
		Short: "Verify that nobody rewrote the trail",
		Long: `Walks the whole audit trail of a hub's database and checks every row, batch and signature. It prints the head of the
trail: keep it somewhere else and give it back with --head next time, which proves that the trail was not shortened.
Exit status: 0 sound, 1 not sound (said where).`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if args.configPath == "" {
				return wrongUsagef("it needs --config untether.yaml, the hub's own")
			}
			return auditVerify(c, args)
		},
	}
	c.Flags().StringVar(&args.configPath, "config", "", "the hub's configuration `FILE`")
	c.Flags().StringArrayVar(&args.heads, "head", nil, "a head that an earlier verification printed, as `BATCH:HASH`")
	c.Flags().BoolVar(&args.asJSON, "json", false, "print the report as JSON")
	return c
}

func auditVerify(c *cobra.Command, args auditArgs) error {
	var heads []audit.Head
	for _, text := range args.heads {
		head, err := audit.ParseHead(text)
		if err != nil {
			return wrongUsage(err)
		}
		heads = append(heads, head)
	}
	o, err := hub.LoadConfig(args.configPath)
	if err != nil {
		return wrongUsage(err)
	}
	report, err := hub.VerifyTrail(c.Context(), o, heads...)
	if err != nil {
		return err
	}
	write := writeReport
	if args.asJSON {
		write = writeReportJSON
	}
	if err := write(c.OutOrStdout(), report); err != nil {
		return err
	}
	if !report.Sound() {
		return errors.New("the trail is not as it was sealed")
	}
	return nil
}

func writeReport(w io.Writer, r audit.Report) error {
	_, err := fmt.Fprintf(w, "batches    %d\nrows       %d, %d of them pruned, %d more wait for their sealing\nhead       %s\n",
		r.Batches, r.Rows, r.Pruned, r.Unsealed, r.Head)
	if !r.PrunedUntil.IsZero() {
		_, err = fmt.Fprintf(w, "pruned to  %s\n", r.PrunedUntil.UTC().Format("2006-01-02T15:04:05Z"))
	}
	for _, f := range r.Faults {
		_, err = fmt.Fprintf(w, "FAULT      batch %d %s: %s\n", f.Batch, f.Row, f.What)
	}
	if hidden := r.FaultCount - int64(len(r.Faults)); hidden > 0 {
		_, err = fmt.Fprintf(w, "FAULT      and %d more\n", hidden)
	}
	return err
}

func writeReportJSON(w io.Writer, r audit.Report) error {
	type fault struct {
		Batch int64  `json:"batch"`
		Row   string `json:"row,omitempty"`
		What  string `json:"what"`
	}
	faults := make([]fault, len(r.Faults))
	for i, f := range r.Faults {
		faults[i] = fault(f)
	}
	return json.NewEncoder(w).Encode(map[string]any{"sound": r.Sound(), "batches": r.Batches, "rows": r.Rows, "pruned": r.Pruned,
		"unsealed": r.Unsealed, "head": r.Head.String(), "faultCount": r.FaultCount, "faults": faults})
}
