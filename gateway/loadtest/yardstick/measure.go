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

	"comet/gateway/loadtest"
)

// The servers that are compared, as the table calls them.
const (
	comet = "Comet"
	nchan = "Nchan"
	bare  = "bare write(2)"
)

var errInterrupted = errors.New("interrupted")

// measurements are the results by scenario and server, a round each.
type measurements map[string]map[string][]*loadtest.Result

// measure makes the rounds of one scenario, the servers by turns.
func measure(ctx context.Context, l *lab, s scenario, f flags, all measurements, raw io.Writer) error {
	all[s.name] = make(map[string][]*loadtest.Result)
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

// measureOne puts the load on a server that is started for it.
func measureOne(ctx context.Context, l *lab, s scenario, name string, quick bool) (*loadtest.Result, error) {
	server, err := l.start(ctx, name)
	if err != nil {
		return nil, err
	}
	defer server.process.stop()
	o := s.load
	if quick {
		o = quickened(o)
	}
	o.Address, o.Dialect, o.Channel = server.address, server.dialect, "yardstick"
	if o.Server, err = server.process.family(); err != nil {
		return nil, err
	}
	o.Store = []int{l.redis.pid()}
	result, err := loadtest.Run(ctx, o)
	if ctx.Err() != nil {
		return nil, errInterrupted
	}
	if err != nil {
		return nil, server.process.explain(err)
	}
	return result, nil
}

// quickened is a small form of a load.
func quickened(o loadtest.Options) loadtest.Options {
	o.Subscribers /= 10
	o.Messages /= 5
	o.Settle = min(o.Settle, 2*time.Second)
	return o
}

func summary(r *loadtest.Result) string {
	text := fmt.Sprintf("%d subscribers in %.1f s, %.0f µs each, %.2f KiB each", r.Subscribers, r.ConnectSeconds, r.ConnectCPUMicros, r.MemoryKiB)
	if r.Messages > 0 {
		text += fmt.Sprintf("; %d deliveries in %.1f s, %.0f/s, CPU %.2f µs each (Redis %.2f, generator %.2f); latency p50 %.1f, p99 %.1f, max %.1f ms",
			r.Deliveries, r.Seconds, r.PerSecond, r.CPUMicros, r.StoreCPUMicros, r.GeneratorCPUMicros, r.Latency.P50MS, r.Latency.P99MS, r.Latency.MaxMS)
	}
	if r.Trouble != (loadtest.Trouble{}) {
		text += "; " + troubleText(r.Trouble)
	}
	return text
}
