package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"comet/config"
)

func newConfig() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show or check the settings",
		Example: `  comet config print
  comet config check --config comet.yaml`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConfigPrint(), newConfigCheck())
	return cmd
}

func newConfigPrint() *cobra.Command {
	var example bool
	cmd := &cobra.Command{
		Use:   "print",
		Short: "Print the effective settings and where each came from",
		Long: `Print the value of every setting after defaults, file, variables and flags, and
where it came from. Secrets are masked; the rest can be used as a file.

With --example, print a file of settings to start from: every setting with its
description and its default, which is commented out.`,
		Example: `  comet config print
  comet config print --example > comet.yaml
  COMET_REDIS_ADDRESSES=127.0.0.1:6379 comet config print --config comet.yaml`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if example {
				return config.WriteExample(cmd.OutOrStdout())
			}
			settings, err := loadSettings(cmd)
			if err != nil {
				return err
			}
			return settings.WriteYAML(cmd.OutOrStdout())
		},
	}
	addSettings(cmd)
	cmd.Flags().BoolVar(&example, "example", false, "print a commented file of settings, with the defaults")
	return cmd
}

func newConfigCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Report every mistake in the settings",
		Example: `  comet config check --config comet.yaml
  comet config check --http-listen 0.0.0.0:80`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := loadSettings(cmd); err != nil {
				return err
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "The settings are valid.")
			return err
		},
	}
	addSettings(cmd)
	return cmd
}
