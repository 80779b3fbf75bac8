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

// compared are the transports, the founding question of Comet: what do
// long-polls and streams save against asking again and again?
var compared = []bench.Transport{bench.ShortPoll, bench.LongPoll, bench.SSE}

func newBenchCompare() *cobra.Command {
	o := benchCompareOptions{size: 100}
	cmd := &cobra.Command{
		Use:   "compare",
		Short: "Compare short polls, long-polls and streams under the same load",
		Long: `Send the same chat to the same clients by short polls, long-polls and streams, by
turns on the same node, and compare requests, bytes, server CPU and latency. The
node is started for it, in memory; or name one with --node, and its process with
--pid to see its CPU.`,
		Example: `  comet bench compare
  comet bench compare --subscribers 100,1000,5000 --report compare.html --markdown compare.md
  comet bench compare --node http://127.0.0.1:8080 --pid 4711`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return benchCompare(cmd, &o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.node, "node", "", "URL of a Comet node (default one that is started for this)")
	f.IntSliceVar(&o.pids, "pid", nil, "processes of that node, to charge for CPU")
	f.IntSliceVar(&o.subscribers, "subscribers", []int{100, 1000}, "how many, run by run")
	f.Float64Var(&o.rate, "rate", 2, "messages a second")
	f.DurationVar(&o.duration, "duration", 20*time.Second, "how long to publish in each run")
	f.DurationVar(&o.interval, "interval", time.Second, "between two short polls of a client")
	f.DurationVar(&o.settle, "settle", time.Second, "quiet time before the first message of a run")
	f.Var(&o.size, "size", "bytes of a message")
	f.StringVar(&o.token, "token", "", "sent as Authorization: Bearer (better "+benchTokenVariable+")")
	f.Uint64Var(&o.seed, "seed", 1, "of every random choice")
	f.StringVar(&o.markdown, "markdown", "", "file for the table as Markdown; - for the standard output")
	f.StringVar(&o.json, "json", "", "file for the results as JSON, a list; - for the standard output")
	f.StringVar(&o.report, "report", "", "file for a page with charts, as compare.html")
	addOwn(cmd, &o.own)
	return cmd
}

// plans are the runs, in their order; of the given node, or of none yet.
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
		return &usageError{errors.New("--pid is of a node that runs already: give --node too")}
	}
	if len(o.subscribers) == 0 {
		return &usageError{errors.New("--subscribers: give at least one number")}
	}
	if o.report == "-" || o.json == "-" && o.markdown == "-" {
		return &usageError{errors.New("the standard output has room for one of --json and --markdown, and for no --report")}
	}
	for _, p := range o.plans(cmp.Or(o.node, defaultURL), o.pids) {
		if err := flagMistakes(cmd, p.Validate()); err != nil {
			return err
		}
		if err := own(cmd, &p.Target, o.own); err != nil {
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

// runAll is the results of the plans that ran to their end.
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

// write puts the comparison wherever it is wanted; the text is on the standard
// output unless something else is.
func (o *benchCompareOptions) write(cmd *cobra.Command, results []*bench.Result) error {
	var rows []report.Row
	for _, r := range results {
		rows = append(rows, report.NewRow(r))
	}
	text := cmd.OutOrStdout()
	if slices.Contains([]string{o.json, o.markdown}, "-") {
		text = cmd.ErrOrStderr()
	}
	about := fmt.Sprintf("One channel, %v messages of %d bytes a second for %s; short polls every %s.", o.rate, o.size, o.duration, o.interval)
	return errors.Join(
		report.WriteComparison(text, rows),
		writeWhole(cmd, "--markdown", o.markdown, func(w io.Writer) error { return report.WriteComparisonMarkdown(w, rows) }),
		writeWhole(cmd, "--json", o.json, func(w io.Writer) error { return writeJSON(w, results) }),
		writeWhole(cmd, "--report", o.report, func(w io.Writer) error { return report.WriteComparisonHTML(w, rows, about) }))
}
