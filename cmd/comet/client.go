package main

import (
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"comet/client"
)

const defaultURL = "http://127.0.0.1:8080"

// addURL gives cmd --url.
func addURL(cmd *cobra.Command, urls *[]string) {
	cmd.Flags().StringSliceVar(urls, "url", nil, "address of Comet, or of several nodes (also "+urlVariable+"; default "+defaultURL+")")
}

// newClient is the client for the given addresses, or for those of the
// environment.
func newClient(cmd *cobra.Command, urls []string) (*client.Client, error) {
	if len(urls) == 0 {
		urls = []string{defaultURL}
		if fromEnv := os.Getenv(urlVariable); fromEnv != "" {
			urls = strings.Split(fromEnv, ",")
		}
	}
	return client.New(client.Options{
		URLs:   urls,
		Logger: slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)),
	})
}
