package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"comet/bench"
)

func newBenchAgent() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Hold subscribers for 'comet bench run' on another machine",
		Long: `Wait for load tests that other machines start with 'comet bench run --agents', and
hold a share of their subscribers. Whoever knows the token can make this machine
load any server: it is needed beyond loopback, and the connection is not encrypted.`,
		Example: `  COMET_AGENT_TOKEN=secret comet bench agent --listen 0.0.0.0:7070
  comet bench agent --token-file agent.token
  comet bench agent --once                    # end with the first load test, as a Job does`,
		Args: arguments(cobra.NoArgs),
	}
	address := cmd.Flags().String("listen", "127.0.0.1:7070", "where load tests connect")
	token := cmd.Flags().String("token", "", "what a load test must know (better "+agentTokenVariable+" or --token-file)")
	file := cmd.Flags().String("token-file", "", "file that holds the token")
	once := cmd.Flags().Bool("once", false, "end with the first load test")
	_ = cmd.MarkFlagFilename("token-file") // fails only for an unknown flag
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return benchAgent(cmd, *address, *token, *file, *once) }
	return cmd
}

func benchAgent(cmd *cobra.Command, address, token, file string, once bool) error {
	token, err := agentToken(token, file)
	if err != nil {
		return err
	}
	l, err := listen("--listen", address)
	if err != nil {
		return err
	}
	if !l.Addr().(*net.TCPAddr).IP.IsLoopback() && token == "" {
		return errors.Join(&usageError{errors.New("--listen: beyond loopback an agent needs a token: set " + agentTokenVariable + " or --token-file")}, l.Close())
	}
	if _, err := fmt.Fprintf(cmd.OutOrStdout(), "agent on %s\n", l.Addr()); err != nil {
		return errors.Join(err, l.Close())
	}
	logger := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
	ctx, end := context.WithCancel(cmd.Context())
	defer end()
	begin := bench.LocalProcesses().Start
	if once {
		begin = endWithLast(begin, end)
	}
	return bench.ServeAgent(ctx, l, token, begin, logger)
}

// agentToken is the token, wherever it is given.
func agentToken(flag, file string) (string, error) {
	if file == "" {
		return secret(flag, agentTokenVariable), nil
	}
	if flag != "" {
		return "", &usageError{errors.New("--token and --token-file both give the token: give one")}
	}
	text, err := os.ReadFile(file)
	token := strings.TrimSpace(string(text))
	if err == nil && token == "" {
		err = fmt.Errorf("%s is empty", file)
	}
	if err != nil {
		return "", fmt.Errorf("--token-file: %w", err)
	}
	return token, nil
}

// newBenchWorker is what a load test starts to hold subscribers; nobody else
// needs it.
func newBenchWorker() *cobra.Command {
	return &cobra.Command{
		Use:     "worker",
		Short:   "Hold subscribers for the process that started this one",
		Example: `  comet bench worker`,
		Hidden:  true,
		Args:    arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return bench.ServeWorker(cmd.Context(), stdio{cmd.InOrStdin(), cmd.OutOrStdout()})
		},
	}
}

// stdio is standard input and output as one connection.
type stdio struct {
	io.Reader
	io.Writer
}
