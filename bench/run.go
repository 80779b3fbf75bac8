// Package bench is a load generator for push servers. It holds many thousands of
// subscribers of many channels and publishes to them. It accounts for the delivery
// of every message to every subscriber, with its latency, and measures the
// server's use of CPU and memory.
//
// Run is the coordinator: it starts workers at its hosts, publishes, and merges
// the workers' reports. A worker holds thousands of subscribers in one goroutine.
// All requests are plain HTTP/1.1. A preset of Target chooses the server's API.
// Workers need Linux (epoll); the package compiles everywhere.
package bench

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// ErrInterrupted, as the cause of a context's end, makes Run end early and return
// the results so far.
var ErrInterrupted = errors.New("interrupted")

// Options of a Run that do not change its results.
type Options struct {
	Hosts    []WorkerHost // where workers run; default: LocalProcesses
	Progress func(Second) // called every second, on Run's goroutine
	Logger   *slog.Logger // default: discard
	Version  string       // of the tool, for the result
}

// Run checks the plan and the servers, connects the subscribers, waits for Settle,
// publishes, and returns when all is delivered or Patience is over. It always
// returns. Failures of the servers after the start of the arrival are in the
// result, not errors. Run returns an error, with a line for each fault, if the plan
// is invalid, if the servers fail the checks, if limits of the system are too low,
// if a worker fails, or if ctx ends. If the cause of ctx's end is ErrInterrupted
// and the arrival has begun, Run returns the results so far without an error.
func Run(ctx context.Context, plan Plan, options Options) (*Result, error) {
	plan = plan.complete()
	if err := plan.Validate(); err != nil {
		return nil, fmt.Errorf("load test: %w", err)
	}
	if len(options.Hosts) == 0 {
		options.Hosts = []WorkerHost{LocalProcesses()}
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	c := newCoordinator(ctx, plan, options)
	defer c.close()
	if err := c.prepare(); err != nil {
		return nil, fmt.Errorf("load test: %w", err)
	}
	if err := c.conduct(); err != nil {
		return nil, fmt.Errorf("load test: %w", err)
	}
	return &c.result, nil
}

// coordinator is one Run. It belongs to Run's goroutine.
type coordinator struct {
	caller  context.Context // Run's
	ctx     context.Context // outlives an interrupt by the caller
	cancel  context.CancelFunc
	plan    Plan
	options Options
	run     uint32
	clock   clock

	nodes      []node // of subscribers
	client     *client
	workers    *workers
	meter      *meter
	publishing *publishing
	ticker     *time.Ticker
	timeline   timeline
	tally      tally

	interrupted <-chan struct{} // the end of caller; nil after it was handled
	result      Result
}

func newCoordinator(ctx context.Context, plan Plan, options Options) *coordinator {
	c := &coordinator{caller: ctx, plan: plan, options: options, clock: newClock(), interrupted: ctx.Done()}
	c.ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	var random [4]byte
	_, _ = rand.Read(random[:]) // it does not fail
	c.run = binary.NativeEndian.Uint32(random[:])
	c.workers = newWorkers(c.clock)
	c.tally = newTally()
	c.result = Result{Plan: plan, Began: time.Now(), Version: options.Version}
	return c
}

func (c *coordinator) name(channel int) string { return channelName(c.plan.Channel, c.run, channel) }

// prepare does everything before the load. It ends with the caller's context.
func (c *coordinator) prepare() error {
	stop := context.AfterFunc(c.caller, c.cancel)
	err := c.assemble()
	if !stop() {
		return context.Cause(c.caller)
	}
	return err
}

func (c *coordinator) assemble() (err error) {
	if c.nodes, err = c.plan.Target.resolve(c.ctx, c.plan.Target.SubscribeURL); err != nil {
		return err
	}
	publishers, err := c.plan.Target.resolve(c.ctx, c.plan.Target.PublishURL)
	if err != nil {
		return err
	}
	c.client = newClient(&c.plan, publishers, c.name)
	c.publishing = newPublishing(&c.plan, c.run, c.clock, c.client)
	if c.meter, err = newMeter(c.ctx, &c.plan); err != nil {
		return err
	}
	if err := c.check(c.ctx); err != nil {
		return err
	}
	if err := c.startWorkers(); err != nil {
		return err
	}
	if c.primes() {
		if err := c.prime(c.ctx); err != nil {
			return err
		}
	}
	c.result.Workers = len(c.workers.members)
	c.options.Logger.InfoContext(c.ctx, "ready", "workers", c.result.Workers, "run", fmt.Sprintf("%08x", c.run))
	return nil
}

// close ends all workers and waits for them.
func (c *coordinator) close() {
	c.cancel()
	c.workers.stop()
	if c.client != nil {
		c.client.close()
	}
	if c.meter != nil {
		c.meter.close()
	}
	if c.ticker != nil {
		c.ticker.Stop()
	}
}
