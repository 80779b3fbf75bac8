//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"comet/bench"
)

// The names of the compared servers in the table.
const (
	comet = "Comet"
	nchan = "Nchan"
	bare  = "bare write(2)"
)

var errInterrupted = errors.New("interrupted")

// measurements are the results by scenario and server, one per round.
type measurements map[string]map[string][]*bench.Result

// measure runs the rounds of one scenario, with the servers in turn.
func measure(ctx context.Context, l *lab, s scenario, f flags, all measurements, raw io.Writer) error {
	all[s.name] = make(map[string][]*bench.Result)
	servers := []string{comet, nchan}
	if s.bare {
		servers = append(servers, bare)
	}
	for round := range f.rounds {
		for _, name := range servers {
			result, err := measureOne(ctx, l, s, name, f.quick)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", s.name, name, err)
			}
			all[s.name][name] = append(all[s.name][name], result)
			fmt.Fprintf(os.Stderr, "%-14s %d/%d %-14s %s\n", s.name, round+1, f.rounds, name, summary(result))
			line, err := json.Marshal(map[string]any{"scenario": s.name, "server": name, "round": round + 1, "quick": f.quick, "result": result})
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(raw, "%s\n", line); err != nil {
				return err
			}
		}
	}
	return nil
}

// measureOne starts a server and runs the load against it.
func measureOne(ctx context.Context, l *lab, s scenario, name string, quick bool) (*bench.Result, error) {
	server, err := l.start(ctx, name)
	if err != nil {
		return nil, err
	}
	defer server.process.stop()
	plan := s.load
	if quick {
		plan = quickened(plan)
	}
	plan.Target = bench.Target{Nodes: []string{"http://" + server.address.String()}, Preset: server.preset}
	plan.Channel = "comparison"
	plan.ServerPIDs, plan.StorePIDs = []int{server.process.pid()}, []int{l.redis.pid()}
	result, err := bench.Run(ctx, plan, bench.Options{Hosts: []bench.WorkerHost{bench.InProcess()}})
	if ctx.Err() != nil {
		return nil, errInterrupted
	}
	if err != nil {
		return nil, server.process.explain(err)
	}
	return result, nil
}

// quickened returns a small version of a load.
func quickened(p bench.Plan) bench.Plan {
	p.Subscribers /= 10
	p.Channels /= 10
	p.Messages /= 5
	p.Settle = min(p.Settle, 2*time.Second)
	return p
}

func summary(r *bench.Result) string {
	text := fmt.Sprintf("%d subscribers in %.1f s, %.0f µs each, %.2f KiB each (generator %.2f)",
		r.Arrival.Subscribers, r.Arrival.Seconds, r.Cost.ConnectMicros, r.Cost.IdleKiB, r.Cost.GeneratorKiB)
	if d := &r.Delivery; d.Received > 0 {
		text += fmt.Sprintf("; %d deliveries in %.1f s, %.0f/s, CPU %.2f µs each (Redis %.2f, generator %.2f); latency p50 %.1f, p99 %.1f, max %.1f ms",
			d.Received, d.Seconds, d.PerSecond, r.Cost.DeliveryMicros, r.Cost.StoreMicros, r.Cost.GeneratorMicros, d.Latency.P50, d.Latency.P99, d.Latency.Max)
	}
	if !r.Trouble.None() {
		text += "; " + troubleText(r.Trouble)
	}
	return text
}
