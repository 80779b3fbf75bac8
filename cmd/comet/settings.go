package main

import (
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"comet/config"
)

// Variables that belong to the command line and are no settings.
const (
	configVariable = "COMET_CONFIG"
	urlVariable    = "COMET_URL"
)

// noSettings are all COMET_* variables that are no settings.
var noSettings = []string{configVariable, urlVariable, benchTokenVariable, agentTokenVariable}

// addSettings gives cmd --config and a flag for every setting.
func addSettings(cmd *cobra.Command) {
	cmd.Flags().String("config", "", "file with settings, YAML (also "+configVariable+")")
	config.RegisterFlags(cmd.Flags())
	cmd.Flags().SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "redis" {
			name = "redis-addresses"
		}
		return pflag.NormalizedName(name)
	})
	_ = cmd.MarkFlagFilename("config", "yaml", "yml") // fails only for an unknown flag
}

// loadSettings reads the settings that cmd was given.
func loadSettings(cmd *cobra.Command) (*config.Loaded, error) {
	file, _ := cmd.Flags().GetString("config")
	if file == "" {
		file = os.Getenv(configVariable)
	}
	environ := slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains(noSettings, name)
	})
	return config.Load(config.Source{File: file, Environ: environ, Flags: cmd.Flags()})
}

// newLogger logs to cmd's error output as the settings say.
func newLogger(cmd *cobra.Command, s *config.Log) *slog.Logger {
	o := &slog.HandlerOptions{Level: s.Level}
	if s.Format == "json" {
		return slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), o))
	}
	return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), o))
}
