package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"comet/gateway/auth"
)

// secretVariable holds the secret of tokens where there is no file.
const secretVariable = "COMET_AUTH_JWT_SECRET"

func newToken() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make and inspect tokens",
		Long: `A token (JWT) names a user and what the user may do. Usually the server that users
log in to makes tokens; these commands are for tests and for debugging.`,
		Example: `  comet token create --sub alice --subscribe 'chat/**' --ttl 1h
  comet token create --sub alice | comet token inspect -`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTokenCreate(), newTokenInspect())
	return cmd
}

// readSecrets reads files, a secret a line, or, if there are none, the variable.
// It may find nothing.
func readSecrets(files []string) (secrets [][]byte, err error) {
	if text := os.Getenv(secretVariable); text != "" && len(files) == 0 {
		return [][]byte{[]byte(text)}, nil
	}
	var errs []error
	for _, file := range files {
		found, err := auth.ReadSecrets(file)
		if err != nil {
			errs = append(errs, fmt.Errorf("--secret-file: %w", err))
		}
		secrets = append(secrets, found...)
	}
	return secrets, errors.Join(errs...)
}
