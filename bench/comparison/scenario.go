//go:build linux

package main

import (
	"fmt"
	"slices"
	"time"

	"comet/bench"
)

// scenario is a load, and the rows of the table that show it.
type scenario struct {
	name string
	load bench.Plan
	bare bool // also measure the bare loop of write(2)
	rows []row
}

// row is a line of the table. Comet meets its target within all bounds, if no
// message and no connection was lost.
type row struct {
	what   string
	value  func(*bench.Result) float64
	bounds []bound
}

const (
	messageSize = 100
	settleIdle  = 10 * time.Second // memory falls for some seconds after an arrival; polls are parked after one
	settle      = 3 * time.Second
)

var scenarios = []scenario{
	{
		name: "idle",
		load: bench.Plan{Subscribers: 15_000, Settle: settleIdle},
		rows: []row{
			{"idle SSE subscribers, 15,000 of one channel: memory each, KiB", memory, []bound{atMost(2.0)}},
			{"their connect: server CPU each, µs", connectCPU, []bound{atMost(1.3).times(nchan)}},
		},
	}, {
		name: "idle-own",
		load: bench.Plan{Subscribers: 15_000, Channels: 15_000, Settle: settleIdle},
		rows: []row{
			{"idle SSE subscribers, 15,000 each on its own channel: memory each, KiB", memory, []bound{atMost(3.0)}},
			{"their arrival, all: seconds", connectSeconds, nil},
		},
	}, {
		name: "waiting-polls",
		load: bench.Plan{Subscribers: 10_000, Transport: bench.LongPoll, Settle: settleIdle},
		rows: []row{
			{"waiting long-polls, 10,000: memory each, KiB", memory, []bound{atMost(3.0)}},
		},
	}, {
		name: "steady",
		load: bench.Plan{Subscribers: 10_000, Messages: 50, Rate: 5, Size: messageSize, Settle: settle},
		bare: true,
		rows: []row{
			{"10,000 subscribers, 5 messages/s: server CPU per delivery, µs", cpu, []bound{atMost(1.2).times(bare), below(nchan)}},
			{"the same: 99th percentile of publish-to-receive, ms", p99, []bound{below(nchan)}},
		},
	}, {
		name: "busy",
		load: bench.Plan{Subscribers: 5_000, Messages: 400, Rate: 40, Publishers: 8, Size: messageSize, Settle: settle},
		rows: []row{
			{"5,000 subscribers, 40 messages/s offered: deliveries/s", perSecond, []bound{atLeast(2).times(nchan)}},
			{"the same: server CPU per delivery, µs", cpu, []bound{atMost(0.5).times(nchan)}},
		},
	}, {
		name: "flat-out",
		load: bench.Plan{Subscribers: 1_000, Messages: 1_000, Publishers: 4, Size: messageSize, Settle: settle},
		rows: []row{
			{"1,000 messages flat out to 1,000 subscribers, all, in order, once: deliveries/s", perSecond, []bound{atLeast(2.5).times(nchan)}},
		},
	}, {
		name: "polls",
		load: bench.Plan{Subscribers: 5_000, Transport: bench.LongPoll, Messages: 40, Rate: 4, Size: messageSize, Settle: settle},
		rows: []row{
			{"5,000 long-pollers, 4 messages/s: server CPU per delivery, µs", cpu, []bound{atMost(1.0).times(nchan)}},
			{"the same: median of publish-to-receive, ms", p50, []bound{below(nchan)}},
			{"the same: 99th percentile, ms", p99, []bound{below(nchan)}},
		},
	}, {
		name: "few-polls",
		load: bench.Plan{Subscribers: 1_000, Transport: bench.LongPoll, Messages: 10, Rate: 1, Size: messageSize, Settle: settle},
		rows: []row{
			{"1,000 long-pollers, 1 message/s: server CPU per delivery, µs", cpu, []bound{atMost(1.0).times(nchan)}},
			{"the same: median of publish-to-receive, ms", p50, []bound{below(nchan)}},
			{"the same: 99th percentile, ms", p99, []bound{below(nchan)}},
		},
	},
}

func memory(r *bench.Result) float64         { return r.Cost.IdleKiB }
func connectCPU(r *bench.Result) float64     { return r.Cost.ConnectMicros }
func connectSeconds(r *bench.Result) float64 { return r.Arrival.Seconds }
func cpu(r *bench.Result) float64            { return r.Cost.DeliveryMicros }
func p50(r *bench.Result) float64            { return r.Delivery.Latency.P50 }
func p99(r *bench.Result) float64            { return r.Delivery.Latency.P99 }
func perSecond(r *bench.Result) float64      { return r.Delivery.PerSecond }

func scenarioNames() (names []string) {
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	return names
}

// choose returns the scenario of that name; for an empty name, all.
func choose(name string) ([]scenario, error) {
	if name == "" {
		return scenarios, nil
	}
	i := slices.Index(scenarioNames(), name)
	if i < 0 {
		return nil, fmt.Errorf("there is no scenario %q: choose one of %q", name, scenarioNames())
	}
	return scenarios[i : i+1], nil
}
