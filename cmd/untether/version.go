package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(c.OutOrStdout(), "untether", version())
			return err
		},
	}
}

// version is the module's version, or the commit that it was built from, with the toolchain.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return described(info)
}

func described(info *debug.BuildInfo) string {
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	text := info.Main.Version
	if text == "" || text == "(devel)" {
		text = "development"
		if revision := settings["vcs.revision"]; len(revision) >= 12 {
			text += " " + revision[:12]
		}
		if settings["vcs.modified"] == "true" {
			text += " modified"
		}
	}
	return text + " " + info.GoVersion
}
