package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// Set by the linker, as -X main.version=v1.2.3; `make build` and `make image`
// do so. Without them Go's own record of the commit counts.
var (
	version = "devel"
	commit  string
	date    string // of the commit, RFC 3339
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version, the commit and its date",
		Example: `  comet version`,
		Args:    arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), versionLine())
			return err
		},
	}
}

// versionLine is what `comet version` and `comet --version` print.
func versionLine() string {
	return fmt.Sprintf("comet %s%s %s %s/%s", version, revision(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// revision is the commit that the binary was built from and its date, in
// parentheses, where they are known.
func revision() string {
	commit, date := commit, date
	if info, _ := debug.ReadBuildInfo(); info != nil {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision" && commit == "":
				commit = s.Value
			case s.Key == "vcs.time" && date == "":
				date = s.Value
			}
		}
	}
	if commit == "" {
		return ""
	}
	return strings.TrimSuffix(" ("+commit[:min(len(commit), 12)]+", "+date, ", ") + ")"
}
