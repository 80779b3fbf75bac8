// Command comet is the push server and its tools: one file a subcommand.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"comet/config"
	"comet/internal/server"
)

func main() {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() { // until the process ends
		first := <-signals
		signal.Stop(signals) // a second one ends the process at once
		if first == syscall.SIGTERM {
			cancel(server.ErrTerminated)
		}
		cancel(context.Canceled)
	}()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// Exit codes.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2   // the command line itself is wrong
	exitInterrupted = 130 // as shells have it for Ctrl-C
)

// run is main without the process: it returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	command, err := root.ExecuteContextC(ctx)
	var usage *usageError
	var problems config.Problems
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return exitInterrupted
	case errors.As(err, &problems):
		fmt.Fprintf(errOut, "comet: invalid configuration:\n%v\n", problems)
		return exitFailure
	case errors.As(err, &usage):
		fmt.Fprintf(errOut, "comet: %v\nSee '%s --help'.\n", err, command.CommandPath())
		return exitUsage
	}
	fmt.Fprintf(errOut, "comet: %s\n", severalLines(err.Error())) // an error may have what a server said
	return exitFailure
}

// usageError is a mistake in the command line.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "comet",
		Short: "Push messages to browsers over plain HTTP, through any number of nodes",
		Long: `Comet pushes messages to browsers and programs over plain HTTP: clients hold a
Server-Sent Events stream or a long-poll, and a message published to any node
reaches the subscribers on every node, in order, once.`,
		Example: `  comet demo                                # see it work, needs nothing
  comet serve --redis 127.0.0.1:6379        # one node of a cluster
  comet subscribe chat/lobby                # in one terminal
  comet publish chat/lobby 'Hello!'         # in another`,
		Version:       versionLine(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          knownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(flagMistake)
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetHelpCommand(newHelp())
	root.AddCommand(newServe(), newDemo(), newPublish(), newSubscribe(), newStatus(), newBench(), newToken(), newConfig(), newCompletion(), newVersion())
	completeFlags(root)
	return root
}

// knownCommand is for a command that only has subcommands: an unknown one is a
// mistake, not a call for help.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	near := cmd.SuggestionsFor(args[0])
	if len(near) == 0 {
		return &usageError{fmt.Errorf("unknown command %q", args[0])}
	}
	return &usageError{fmt.Errorf("unknown command %q; did you mean %s?", args[0], strings.Join(near, " or "))}
}

// arguments makes cobra's complaint about arguments a usageError.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return &usageError{err}
		}
		return nil
	}
}
