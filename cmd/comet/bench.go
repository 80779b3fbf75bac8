package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"comet/bench"
)

// Environment variables for the load test's secrets. Other users of the host can
// see a flag's value.
const (
	benchTokenVariable = "COMET_BENCH_TOKEN"
	agentTokenVariable = "COMET_AGENT_TOKEN"
)

func newBench() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Load-test Comet, or another push server",
		Long: `Hold many thousands of subscribers, publish to them, and account for every
message: lost, repeated or out of order, and its latency. Needs Linux.`,
		Example: `  comet bench run --nodes http://127.0.0.1:8080
  comet bench compare`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newBenchRun(), newBenchCompare(), newBenchAgent(), newBenchWorker())
	return cmd
}

// runLoad is bench.Run with a progress display on the error output. When Ctrl-C
// ends the context of cmd, the test ends early with the results so far. Another
// Ctrl-C ends the process.
func runLoad(cmd *cobra.Command, p bench.Plan, hosts []bench.WorkerHost) (*bench.Result, error) {
	errOut := cmd.ErrOrStderr()
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(cmd.Context()))
	defer cancel(nil)
	defer context.AfterFunc(cmd.Context(), func() {
		fmt.Fprintln(errOut, "\ncomet: ending early with the results so far; press Ctrl-C again to end at once")
		cancel(bench.ErrInterrupted)
	})()
	progress := newProgress(errOut, &p)
	defer progress.end()
	result, err := bench.Run(ctx, p, bench.Options{
		Hosts:    hosts,
		Progress: progress.show,
		Version:  version + revision(),
	})
	if errors.Is(err, bench.ErrInterrupted) { // before there were results
		err = cmd.Context().Err()
	}
	return result, err
}

// verdict returns an error unless all messages arrived once and in order and the
// run did all of its plan. An interrupted run may lack subscribers.
func verdict(r *bench.Result) error {
	t := &r.Trouble
	switch out, p := r.Plan.Subscribers-r.Arrival.Subscribers, &r.Publish; {
	case t.Lost+t.Repeated+t.OutOfOrder > 0 || t.Orders > 0:
		return fmt.Errorf("messages lost: %d, repeated: %d, out of order: %d, channels with several orders: %d",
			t.Lost, t.Repeated, t.OutOfOrder, t.Orders)
	case out > 0 && !r.Interrupted:
		return fmt.Errorf("%d of %d subscribers did not connect", out, r.Plan.Subscribers)
	case p.Failed > 0:
		return fmt.Errorf("the server refused %d of %d messages", p.Failed, p.Failed+p.Acknowledged+p.Unknown)
	case p.Unknown > 0 && p.Acknowledged == 0:
		return errors.New("the server acknowledged no message")
	}
	return nil
}

// secret returns the value of a flag or, if that is empty, of an environment variable.
func secret(flag, variable string) string {
	if flag != "" {
		return flag
	}
	return os.Getenv(variable)
}

// flagMistakes returns err, of a Validate, as a usageError that names cmd's flags.
func flagMistakes(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	lines := strings.Split(err.Error(), "\n")
	for i, line := range lines {
		field, rest, _ := strings.Cut(line, ":")
		name := strings.ReplaceAll(field, " ", "-")
		for _, name := range []string{name, strings.TrimSuffix(name, "s")} { // --header may be repeated: headers
			if cmd.Flags().Lookup(name) != nil {
				lines[i] = "--" + name + ":" + rest
			}
		}
	}
	return &usageError{errors.New(strings.Join(lines, "\n"))}
}

// checkOwnTarget refuses a target on another machine unless said is true: the owner's flag is set.
func checkOwnTarget(cmd *cobra.Command, t *bench.Target, said bool) error {
	if said || t.OnLoopback() {
		return nil
	}
	return &usageError{errors.New("the target is on another machine, and a load test can take a server down: set --" +
		ownFlag + " if it is yours to test")}
}

const ownFlag = "yes-i-own-this-target"

func addOwn(cmd *cobra.Command, said *bool) {
	cmd.Flags().BoolVar(said, ownFlag, false, "allow a target on another machine; set it only for your own")
}
