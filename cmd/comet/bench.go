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

// Variables of the load test that hold secrets, which other users of the host
// would see in a flag.
const (
	benchTokenVariable = "COMET_BENCH_TOKEN"
	agentTokenVariable = "COMET_AGENT_TOKEN"
)

func newBench() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Load-test Comet, or another push server",
		Long: `Hold many thousands of subscribers, publish to them, and account for every
message: was it lost, repeated or out of order, and how long did it take. Needs
Linux.`,
		Example: `  comet bench run --nodes http://127.0.0.1:8080
  comet bench compare`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newBenchRun(), newBenchCompare(), newBenchAgent(), newBenchWorker())
	return cmd
}

// runLoad is bench.Run with a progress display on the error output. When the
// context of cmd ends, by Ctrl-C, the test ends early with the results so far;
// another Ctrl-C ends the process.
func runLoad(cmd *cobra.Command, p bench.Plan, hosts []bench.WorkerHost) (*bench.Result, error) {
	errOut := cmd.ErrOrStderr()
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(cmd.Context()))
	defer cancel(nil)
	defer context.AfterFunc(cmd.Context(), func() {
		fmt.Fprintln(errOut, "\ncomet: ending early, with the results so far; again Ctrl-C to end at once")
		cancel(bench.ErrInterrupted)
	})()
	progress := newProgress(errOut, &p)
	defer progress.end()
	result, err := bench.Run(ctx, p, bench.Options{
		Hosts:    hosts,
		Progress: progress.show,
		Version:  version + revision(),
	})
	if errors.Is(err, bench.ErrInterrupted) { // before there were any
		err = cmd.Context().Err()
	}
	return result, err
}

// verdict is the error of a run whose messages did not all come once and in
// order, or that could not do all of its plan. One that was interrupted has not
// had the time.
func verdict(r *bench.Result) error {
	t := &r.Trouble
	switch out, p := r.Plan.Subscribers-r.Arrival.Subscribers, &r.Publish; {
	case t.Lost+t.Repeated+t.OutOfOrder > 0 || t.Orders > 0:
		return fmt.Errorf("messages lost: %d, repeated: %d, out of order: %d, channels with several orders: %d",
			t.Lost, t.Repeated, t.OutOfOrder, t.Orders)
	case out > 0 && !r.Interrupted:
		return fmt.Errorf("%d of %d subscribers did not get in", out, r.Plan.Subscribers)
	case p.Failed > 0:
		return fmt.Errorf("the server refused %d of %d messages", p.Failed, p.Failed+p.Acknowledged+p.Unknown)
	case p.Unknown > 0 && p.Acknowledged == 0:
		return errors.New("the server acknowledged no message")
	}
	return nil
}

// secret is the value of a flag or, without one, of a variable.
func secret(flag, variable string) string {
	if flag != "" {
		return flag
	}
	return os.Getenv(variable)
}

// flagMistakes is err, of a Validate, as a usageError that names cmd's flags.
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

// own refuses a target that is not on this machine, unless its owner says so.
func own(cmd *cobra.Command, t *bench.Target, said bool) error {
	if said || t.OnLoopback() {
		return nil
	}
	return &usageError{errors.New("the target is not on this machine: a load test can take a server down; --" +
		ownFlag + " says that it is yours to test")}
}

const ownFlag = "yes-i-own-this-target"

func addOwn(cmd *cobra.Command, said *bool) {
	cmd.Flags().BoolVar(said, ownFlag, false, "the target is not on this machine, and yours to load")
}
