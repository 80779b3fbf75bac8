package main

import (
	"fmt"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"comet/bench"
	"comet/internal/testenv"
)

// rolling is a rolling restart under load.
type rolling struct {
	streams, polls int
	rate           float64 // messages per second, to streams
	spread         time.Duration
	duration       time.Duration // of the load; all nodes must have left and come back by then
}

// TestRollingRestart restarts three nodes behind HAProxy, one by one, while
// subscribers listen and messages come. No message is lost or repeated. The log has
// the rate at which the subscribers of a node move to the others.
func TestRollingRestart(t *testing.T) {
	testenv.Large(t)
	r := rolling{streams: 5000, polls: 500, rate: 190, spread: 10 * time.Second, duration: 75 * time.Second}
	b := startBalanced(t, "haproxy", "--drain-delay", "3s", "--drain-spread", r.spread.String())
	var mu sync.Mutex
	var connects []int // each second; the first while messages come still has arrivals
	progress := func(s bench.Second) {
		mu.Lock()
		defer mu.Unlock()
		if s.Phase == "deliver" {
			connects = append(connects, s.Connects)
		}
	}
	var loads sync.WaitGroup
	loads.Go(func() {
		b.exactly(t, bench.Plan{Subscribers: r.streams, Channels: r.streams / 10, Rate: r.rate, Publishers: 4}, r, progress)
	})
	loads.Go(func() {
		b.exactly(t, bench.Plan{Subscribers: r.polls, Channels: 5, Rate: 10, Transport: bench.LongPoll}, r, nil)
	})
	for i := range b.nodes {
		b.nodes[i].signal(syscall.SIGTERM)
		b.nodes[i].wantExit(exitOK)
		b.nodes[i].awaitErr("remaining=0")
		b.start(t, i)
		awaitAnswer(t, "http://"+b.admin[i]+"/readyz")
		awaitAnswerOf(t, b.url+"/v1/poll?channel=x&wait=0s", fmt.Sprint("n", i+1)) // the load balancer knows
	}
	loads.Wait()
	// A node may have come to hold half of all streams by the time it leaves.
	implied := float64(r.streams) / 2 / r.spread.Seconds()
	t.Logf("at most %d reconnects per second; drain.spread implies %.0f", slices.Max(connects[1:]), implied)
}

// exactly runs a load and checks that no message is lost or repeated.
func (b *balanced) exactly(t *testing.T, p bench.Plan, r rolling, progress func(bench.Second)) {
	p.Target, p.Duration, p.Patience = bench.Target{Nodes: []string{b.url}}, r.duration, time.Minute
	result, err := bench.Run(t.Context(), p, bench.Options{Hosts: []bench.WorkerHost{bench.InProcess()}, Progress: progress})
	if err != nil {
		t.Error(err)
		return
	}
	if result.Delivery.Expected == 0 || result.Delivery.Received != result.Delivery.Expected {
		t.Errorf("%s: received %d of %d", p.Transport, result.Delivery.Received, result.Delivery.Expected)
	}
	if x := result.Trouble; x.Lost+x.Repeated+x.OutOfOrder+x.Unknown+x.Gaps != 0 || x.Orders != 0 {
		t.Errorf("%s: trouble %+v", p.Transport, x)
	}
	t.Logf("%s: %d delivered, errors %v", p.Transport, result.Delivery.Received, result.Trouble.Errors)
}
