package main

import (
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
	tokenVariable  = "COMET_TOKEN"
)

// noSettings are all COMET_* variables that are no settings.
var noSettings = []string{configVariable, urlVariable, tokenVariable, benchTokenVariable, agentTokenVariable}

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

// settingsFile is the file of settings that cmd was given; empty: none.
func settingsFile(cmd *cobra.Command) string {
	file, _ := cmd.Flags().GetString("config")
	if file == "" {
		file = os.Getenv(configVariable)
	}
	return file
}

// loadSettings reads the settings that cmd was given. It may be called again.
func loadSettings(cmd *cobra.Command) (*config.Loaded, error) {
	environ := slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains(noSettings, name)
	})
	return config.Load(config.Source{File: settingsFile(cmd), Environ: environ, Flags: cmd.Flags()})
}
