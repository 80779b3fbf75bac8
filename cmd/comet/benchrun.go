package main

import (
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"

	"comet/bench"
	"comet/bench/report"
)

type benchRunOptions struct {
	plan       bench.Plan
	transport  transport
	size       size
	churn      share
	agents     []string
	agentToken string
	agentWait  time.Duration
	json       string
	report     string
	own        bool
}

func newBenchRun() *cobra.Command {
	var o benchRunOptions
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Load a server and account for every message",
		Long: `Connect subscribers to the nodes, publish to them, and report the messages lost,
repeated and out of order, the latencies, and with --pid or --metrics the server's
use of CPU and memory. The exit status is 1 if any message is lost, repeated or out
of order, if subscribers cannot connect, or if the server refuses messages. Ctrl-C
ends early with the results so far.`,
		Example: `  comet bench run --nodes http://127.0.0.1:8080
  comet bench run --nodes http://127.0.0.1:8081,http://127.0.0.1:8082 --subscribers 20000 --channels 100 --churn 1% --report report.html
  comet bench run --nodes http://127.0.0.1:8080 --subscribers 10000 --duration 0     # only idle connections
  comet bench run --preset nchan --nodes http://127.0.0.1:80 --json -
  comet bench run --nodes http://127.0.0.1:3000 --subscribe-url '/events/{channel}' --publish-url '/send/{channel}'`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return benchRun(cmd, &o) },
	}
	o.addLoad(cmd)
	o.addTarget(cmd)
	o.addOutput(cmd)
	return cmd
}

func (o *benchRunOptions) addLoad(cmd *cobra.Command) {
	f, p := cmd.Flags(), &o.plan
	o.transport, o.size = transport(bench.SSE), 100
	f.IntVar(&p.Subscribers, "subscribers", 1000, "number of subscribers")
	f.IntVar(&p.Channels, "channels", 1, "number of channels; each subscriber has one of them")
	f.Var(&o.transport, "transport", "transport of the subscribers: sse, poll (long-polls), short-poll, bayeux (the node needs bayeux.enabled) or mixed (sse and poll)")
	f.DurationVar(&p.Interval, "interval", time.Second, "time between two short polls of a subscriber")
	f.DurationVar(&p.Ramp, "ramp", 0, "time over which the subscribers connect (default: as fast as possible)")
	f.DurationVar(&p.Settle, "settle", time.Second, "quiet time after the subscribers connected, before memory is read and the first message sent")
	f.Var(&o.churn, "churn", "share of subscribers that disconnect and resume at another node, per second: 1% or 0.01")
	f.Float64Var(&p.Rate, "rate", 10, "messages published per second, over all channels; 0 for as fast as possible")
	f.DurationVar(&p.Duration, "duration", 10*time.Second, "how long to publish; 0 without --messages publishes nothing")
	f.IntVar(&p.Messages, "messages", 0, "number of messages to publish (default: rate times duration)")
	f.Var(&o.size, "size", "message size in bytes")
	f.IntVar(&p.Publishers, "publishers", 1, "number of connections to publish over")
	f.DurationVar(&p.Patience, "patience", 5*time.Second, "time without any delivery after which missing messages count as lost")
	f.Uint64Var(&p.Seed, "seed", 1, "seed of every random choice: the same seed repeats them")
	f.StringSliceVar(&o.agents, "agents", nil, "host:port of each 'comet bench agent' that holds subscribers (default: this machine)")
	f.DurationVar(&o.agentWait, "agent-wait", 0, "how long to wait for agents that do not listen yet")
	f.StringVar(&o.agentToken, "agent-token", "", "token of the agents (better "+agentTokenVariable+")")
}

func (o *benchRunOptions) addTarget(cmd *cobra.Command) {
	f, p, t := cmd.Flags(), &o.plan, &o.plan.Target
	f.StringSliceVar(&t.Nodes, "nodes", nil, "URLs of the nodes, or of a load balancer")
	f.StringVar(&t.Preset, "preset", "", "kind of server: comet, nchan, mercure, centrifugo or custom (default comet, or custom with --subscribe-url)")
	f.StringVar(&t.Token, "token", "", "sent as Authorization: Bearer (better "+benchTokenVariable+")")
	f.StringArrayVar(&t.Headers, "header", nil, "'Name: value' on each request; may be repeated")
	f.StringVar(&t.SubscribeURL, "subscribe-url", "", "custom server: URL or path of the event stream, with {channel} and, to resume, {cursor}")
	f.StringVar(&t.PublishURL, "publish-url", "", "custom server: URL or path to publish to, with {channel}")
	f.StringVar(&t.PublishBody, "publish-body", "", "custom server: body of a publish, with {data} and {channel} (default {data})")
	f.StringVar(&t.PublishMethod, "publish-method", "", "custom server: method of a publish (default POST)")
	f.IntSliceVar(&p.ServerPIDs, "pid", nil, "process IDs of the server, to measure its CPU and memory")
	f.IntSliceVar(&p.StorePIDs, "store-pid", nil, "process IDs of the server's store, like Redis, measured separately")
	f.StringVar(&p.MetricsURL, "metrics", "", "URL of the server's Prometheus metrics, if its processes are on another machine")
	addOwn(cmd, &o.own)
}

func (o *benchRunOptions) addOutput(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.json, "json", "", "write the result to this file as JSON; - for the standard output")
	cmd.Flags().StringVar(&o.report, "report", "", "write a page with charts to this file, like report.html")
	_ = cmd.MarkFlagFilename("json", "json") // these fail only for an unknown flag
	_ = cmd.MarkFlagFilename("report", "html")
}

// complete sets the values that depend on several flags and on the environment,
// and checks them all.
func (o *benchRunOptions) complete(cmd *cobra.Command) error {
	p, t := &o.plan, &o.plan.Target
	p.Transport, p.Size, p.Churn = bench.Transport(o.transport), int(o.size), float64(o.churn)
	t.Token, o.agentToken = secret(t.Token, benchTokenVariable), secret(o.agentToken, agentTokenVariable)
	set := cmd.Flags().Changed
	if p.Messages > 0 && !set("duration") {
		p.Duration = 0 // until they are sent
	}
	if p.Messages == 0 && p.Duration == 0 && !set("rate") {
		p.Rate = 0
	}
	switch {
	case t.Preset != "":
	case t.SubscribeURL != "":
		t.Preset = "custom"
	default:
		t.Preset = "comet"
	}
	if o.report == "-" {
		return &usageError{errors.New("--report: a page cannot be the standard output: name a file")}
	}
	if err := flagMistakes(cmd, p.Validate()); err != nil {
		return err
	}
	return checkOwnTarget(cmd, t, o.own)
}

func benchRun(cmd *cobra.Command, o *benchRunOptions) error {
	if err := o.complete(cmd); err != nil {
		return err
	}
	if err := errors.Join(canWrite("--json", o.json), canWrite("--report", o.report)); err != nil {
		return err
	}
	result, err := runLoad(cmd, o.plan, awaitAgents(bench.DialAgents(o.agents, o.agentToken), o.agentWait))
	if err != nil {
		return err
	}
	err = o.write(cmd, result)
	if bad := verdict(result); bad != nil || err != nil {
		return errors.Join(bad, err)
	}
	return cmd.Context().Err() // interrupted
}

// write writes the result to the files that the flags name. The table goes to the
// standard output, or to the error output if that is for the JSON.
func (o *benchRunOptions) write(cmd *cobra.Command, result *bench.Result) error {
	table := cmd.OutOrStdout()
	if o.json == "-" {
		table = cmd.ErrOrStderr()
	}
	return errors.Join(
		report.WriteTable(table, result),
		writeWhole(cmd, "--json", o.json, func(w io.Writer) error { return writeJSON(w, result) }),
		writeWhole(cmd, "--report", o.report, func(w io.Writer) error { return report.WriteHTML(w, result) }))
}

func writeJSON(w io.Writer, value any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(value)
}
