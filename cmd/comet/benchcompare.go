package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"comet/bench"
	"comet/bench/report"
)

type benchCompareOptions struct {
	node        string
	pids        []int
	subscribers []int
	rate        float64
	duration    time.Duration
	interval    time.Duration
	settle      time.Duration
	size        size
	token       string
	seed        uint64
	own         bool
	// Files.
	markdown, json, report string
}

// compared are the transports to compare: how much do long-polls and streams
// save against short polls?
var compared = []bench.Transport{bench.ShortPoll, bench.LongPoll, bench.SSE}

func newBenchCompare() *cobra.Command {
	o := benchCompareOptions{size: 100}
	cmd := &cobra.Command{
		Use:   "compare",
		Short: "Compare short polls, long-polls and streams under the same load",
		Long: `Send the same messages to the same number of clients by short polls, long-polls
and streams, one after the other on the same node, and compare requests, bytes,
server CPU and latency. The command starts a node, in memory. To use another one,
give --node, and --pid to measure its CPU.`,
		Example: `  comet bench compare
  comet bench compare --subscribers 100,1000,5000 --report compare.html --markdown compare.md
  comet bench compare --node http://127.0.0.1:8080 --pid 4711`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return benchCompare(cmd, &o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.node, "node", "", "URL of a Comet node (default: start one)")
	f.IntSliceVar(&o.pids, "pid", nil, "process IDs of --node, to measure its CPU")
	f.IntSliceVar(&o.subscribers, "subscribers", []int{100, 1000}, "number of subscribers, one run each")
	f.Float64Var(&o.rate, "rate", 2, "messages published per second")
	f.DurationVar(&o.duration, "duration", 20*time.Second, "how long to publish in each run")
	f.DurationVar(&o.interval, "interval", time.Second, "time between two short polls of a client")
	f.DurationVar(&o.settle, "settle", time.Second, "quiet time before the first message of a run")
	f.Var(&o.size, "size", "message size in bytes")
	f.StringVar(&o.token, "token", "", "sent as Authorization: Bearer (better "+benchTokenVariable+")")
	f.Uint64Var(&o.seed, "seed", 1, "seed of every random choice")
	f.StringVar(&o.markdown, "markdown", "", "write the table to this file as Markdown; - for the standard output")
	f.StringVar(&o.json, "json", "", "write a list of the results to this file as JSON; - for the standard output")
	f.StringVar(&o.report, "report", "", "write a page with charts to this file, like compare.html")
	addOwn(cmd, &o.own)
	return cmd
}

// plans returns the runs at node, in order.
func (o *benchCompareOptions) plans(node string, pids []int) (plans []bench.Plan) {
	for _, n := range o.subscribers {
		for _, t := range compared {
			plans = append(plans, bench.Plan{
				Target:      bench.Target{Preset: "comet", Nodes: []string{node}, Token: secret(o.token, benchTokenVariable)},
				Subscribers: n, Channels: 1, Transport: t, Interval: o.interval, Settle: o.settle,
				Rate: o.rate, Duration: o.duration, Publishers: 1, Size: int(o.size), Seed: o.seed, ServerPIDs: pids,
			})
		}
	}
	return plans
}

func (o *benchCompareOptions) check(cmd *cobra.Command) error {
	if o.node == "" && len(o.pids) > 0 {
		return &usageError{errors.New("--pid is a process of --node: set --node too")}
	}
	if len(o.subscribers) == 0 {
		return &usageError{errors.New("--subscribers: give at least one number")}
	}
	if o.report == "-" || o.json == "-" && o.markdown == "-" {
		return &usageError{errors.New("only one of --json and --markdown can be the standard output, and --report cannot")}
	}
	for _, p := range o.plans(cmp.Or(o.node, defaultURL), o.pids) {
		if err := flagMistakes(cmd, p.Validate()); err != nil {
			return err
		}
		if err := checkOwnTarget(cmd, &p.Target, o.own); err != nil {
			return err
		}
	}
	return errors.Join(canWrite("--markdown", o.markdown), canWrite("--json", o.json), canWrite("--report", o.report))
}

func benchCompare(cmd *cobra.Command, o *benchCompareOptions) error {
	if err := o.check(cmd); err != nil {
		return err
	}
	node, pids := o.node, o.pids
	if node == "" {
		child, err := startChildNode(cmd.Context())
		if err != nil {
			return err
		}
		defer child.stop()
		node, pids = child.url, []int{child.pid()}
	}
	results, err := runAll(cmd, o.plans(node, pids))
	if len(results) > 0 {
		err = errors.Join(err, o.write(cmd, results))
	}
	for _, r := range results {
		if bad := verdict(r); bad != nil {
			err = errors.Join(err, fmt.Errorf("%s, %d clients: %w", r.Plan.Transport, r.Plan.Subscribers, bad))
		}
	}
	if err != nil {
		return err
	}
	return cmd.Context().Err() // interrupted
}

// runAll runs the plans and returns the results of those that ran to their end.
func runAll(cmd *cobra.Command, plans []bench.Plan) (results []*bench.Result, err error) {
	for i, p := range plans {
		fmt.Fprintf(cmd.ErrOrStderr(), "%d of %d: %s, %d clients\n", i+1, len(plans), p.Transport, p.Subscribers)
		result, err := runLoad(cmd, p, nil)
		if err != nil || result.Interrupted {
			return results, err
		}
		for _, warning := range result.Warnings {
			fmt.Fprintln(cmd.ErrOrStderr(), "warning:", warning)
		}
		results = append(results, result)
	}
	return results, nil
}

// write writes the comparison to the files that the flags name. The text goes to
// the standard output, or to the error output if a flag takes the standard output.
func (o *benchCompareOptions) write(cmd *cobra.Command, results []*bench.Result) error {
	var rows []report.Row
	for _, r := range results {
		rows = append(rows, report.NewRow(r))
	}
	text := cmd.OutOrStdout()
	if slices.Contains([]string{o.json, o.markdown}, "-") {
		text = cmd.ErrOrStderr()
	}
	about := fmt.Sprintf("One channel, %v messages per second of %d bytes for %s; short polls every %s.", o.rate, o.size, o.duration, o.interval)
	return errors.Join(
		report.WriteComparison(text, rows),
		writeWhole(cmd, "--markdown", o.markdown, func(w io.Writer) error { return report.WriteComparisonMarkdown(w, rows) }),
		writeWhole(cmd, "--json", o.json, func(w io.Writer) error { return writeJSON(w, results) }),
		writeWhole(cmd, "--report", o.report, func(w io.Writer) error { return report.WriteComparisonHTML(w, rows, about) }))
}
