// Package loadtest is a load generator for push servers. It holds thousands of
// subscribers of one channel in one goroutine, publishes to the channel, and
// tells what came of it: every message's delivery to every subscriber is
// accounted for, with its latency, and what it cost the server in CPU and
// memory.
//
// The server is another process, spoken to over plain HTTP/1.1 on an IPv4
// address; a Dialect says how. Run needs Linux (epoll); the package compiles
// everywhere.
package loadtest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"
)

// Options of a Run. Address, Dialect, Channel and Subscribers must be set.
type Options struct {
	Address netip.AddrPort // of the server, IPv4; on loopback the subscribers come from many addresses
	Dialect Dialect
	// Channel should be new: what it held before would count as trouble.
	Channel     string
	Subscribers int
	Own         bool // subscriber i has a channel of its own, Channel followed by i; nothing is published
	Poll        bool // long-polls instead of streams; Dialect must be a PollDialect

	Settle     time.Duration // quiet time after the arrival, before memory is read and the first message sent
	Messages   int           // how many to publish
	Rate       float64       // messages a second; 0: flat out
	Publishers int           // connections to publish over, by turns; default 1
	Size       int           // bytes of a message, at least MinSize, which is the default
	Patience   time.Duration // how long no delivery may come before the rest counts as missing; default 5s

	Server []int // processes to charge; none: no memory or CPU in the result
	Store  []int // processes behind the server, Redis; charged apart
}

func (o *Options) complete() error {
	o.Publishers = max(o.Publishers, 1)
	if o.Size == 0 {
		o.Size = MinSize
	}
	if o.Patience == 0 {
		o.Patience = 5 * time.Second
	}
	_, polls := o.Dialect.(PollDialect)
	switch {
	case !o.Address.Addr().Is4():
		return fmt.Errorf("load test: %s is no IPv4 address", o.Address)
	case o.Subscribers < 1 || o.Messages < 0 || o.Rate < 0:
		return errors.New("load test: it takes a subscriber, and no less than no messages")
	case o.Size < MinSize:
		return fmt.Errorf("load test: a message needs at least %d bytes, for its stamp", MinSize)
	case o.Own && (o.Messages > 0 || o.Poll):
		return errors.New("load test: subscribers with channels of their own are idle streams")
	case o.Poll && !polls:
		return fmt.Errorf("load test: %T has no long-polls", o.Dialect)
	}
	return nil
}

// lateness is how long after the last delivery Run listens for repeats.
const lateness = 200 * time.Millisecond

// Run lets the subscribers arrive, waits for Settle, publishes, and returns
// when all is delivered or Patience is over. Messages that went missing, or
// came twice or in the wrong order, and connections that the server closed are
// no error but in the result. An error is a request that was refused, an answer
// that is not HTTP, or ctx's.
func Run(ctx context.Context, o Options) (*Result, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	r := &run{Options: o, publisher: newPublisher(&o)}
	defer r.publisher.close()
	var err error
	if r.swarm, err = newSwarm(&r.Options); err != nil {
		return nil, fmt.Errorf("load test: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	swarming, stop := context.WithCancel(ctx)
	group.Go(func() error { return r.swarm.run(swarming) })
	group.Go(func() error {
		defer stop()
		return r.conduct(ctx)
	})
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("load test: %w", err)
	}
	r.swarm.report(&r.result)
	r.result.finish()
	return &r.result, nil
}

// run is one Run.
type run struct {
	Options
	publisher *publisher
	swarm     *swarm
	result    Result
}

// conduct leads through the phases.
func (r *run) conduct(ctx context.Context) error {
	if r.Poll {
		if err := r.publisher.prime(ctx); err != nil {
			return err
		}
	}
	if err := r.arrive(ctx); err != nil || r.Messages == 0 {
		return err
	}
	if err := r.deliver(ctx); err != nil {
		return err
	}
	return pause(ctx, lateness)
}

// arrive lets the subscribers in and measures what that and they cost.
func (r *run) arrive(ctx context.Context) error {
	meter, err := newMeter(&r.Options)
	if err != nil {
		return err
	}
	began := time.Now()
	close(r.swarm.gate)
	if err := wait(ctx, r.swarm.arrived); err != nil {
		return err
	}
	r.result.ConnectSeconds = time.Since(began).Seconds()
	cost, err := meter.read()
	if err != nil {
		return err
	}
	r.result.connectCPU = cost.server
	if err := pause(ctx, r.Settle); err != nil {
		return err
	}
	cost, err = meter.read()
	r.result.memory = cost.memory
	return err
}

// deliver publishes, waits for the last delivery, and measures.
func (r *run) deliver(ctx context.Context) error {
	meter, err := newMeter(&r.Options)
	if err != nil {
		return err
	}
	began := r.swarm.clock.now()
	if err := r.publisher.run(ctx, r.swarm.clock); err != nil {
		return err
	}
	if err := r.awaitDeliveries(ctx); err != nil {
		return err
	}
	cost, err := meter.read()
	r.result.Seconds = (r.swarm.latest.Load() - began).seconds()
	r.result.deliveryCost = cost
	return err
}

// awaitDeliveries returns when everything has come, or nothing did for long.
func (r *run) awaitDeliveries(ctx context.Context) error {
	const look = 100 * time.Millisecond
	tick := time.NewTicker(look)
	defer tick.Stop()
	before, quiet := r.swarm.deliveries.Load(), time.Duration(0)
	for quiet < r.Patience {
		select {
		case <-r.swarm.complete:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if now := r.swarm.deliveries.Load(); now != before {
			before, quiet = now, 0
		} else {
			quiet += look
		}
	}
	return nil
}

func wait(ctx context.Context, event <-chan struct{}) error {
	select {
	case <-event:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
