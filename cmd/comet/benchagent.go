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
hold a share of their subscribers. Anyone with the token can make this machine load
any server. A token is required beyond loopback. The connection is not encrypted.`,
		Example: `  COMET_AGENT_TOKEN=secret comet bench agent --listen 0.0.0.0:7070
  comet bench agent --token-file agent.token
  comet bench agent --once                    # end with the first load test, as a Job does`,
		Args: arguments(cobra.NoArgs),
	}
	address := cmd.Flags().String("listen", "127.0.0.1:7070", "address on which load tests connect")
	token := cmd.Flags().String("token", "", "secret that load tests must send (better "+agentTokenVariable+" or --token-file)")
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
		return errors.Join(&usageError{errors.New("--listen: an agent needs a token beyond loopback: set " + agentTokenVariable + " or --token-file")}, l.Close())
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

// agentToken returns the token of the flag, the file or the environment.
func agentToken(flag, file string) (string, error) {
	if file == "" {
		return secret(flag, agentTokenVariable), nil
	}
	if flag != "" {
		return "", &usageError{errors.New("--token and --token-file are both set: set only one")}
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

// newBenchWorker is the command that a load test starts to hold subscribers. It
// is not for people.
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
