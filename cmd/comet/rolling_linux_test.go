package main

import (
	"fmt"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"comet/gateway/loadtest"
	"comet/internal/testenv"
)

// rolling is a rolling restart under load.
type rolling struct {
	streams, polls int
	rate           float64 // messages a second, to streams
	spread         time.Duration
	duration       time.Duration // of the load; all nodes must have left and come back by then
}

// rollingOf is small enough for every run, or what COMET_TEST_SCALE=full asks
// for, which wants a machine of its own for two minutes.
func rollingOf() (r rolling, full bool) {
	if testenv.All() {
		return rolling{streams: 5000, polls: 500, rate: 190, spread: 10 * time.Second, duration: 75 * time.Second}, true
	}
	return rolling{streams: 500, polls: 50, rate: 50, spread: 2 * time.Second, duration: 24 * time.Second}, false
}

// TestRollingRestart restarts three nodes behind HAProxy, one by one, while
// everybody listens and messages come. Nobody loses one or has one twice, and
// those who must leave a node do not all come to the others at once.
func TestRollingRestart(t *testing.T) {
	r, full := rollingOf()
	b := startBalanced(t, "haproxy", "--drain-delay", "3s", "--drain-spread", r.spread.String())
	var mu sync.Mutex
	var connects []int // each second; the first while messages come still has arrivals
	progress := func(s loadtest.Second) {
		mu.Lock()
		defer mu.Unlock()
		if s.Phase == "deliver" {
			connects = append(connects, s.Connects)
		}
	}
	var loads sync.WaitGroup
	loads.Go(func() {
		b.exactly(t, loadtest.Plan{Subscribers: r.streams, Channels: r.streams / 10, Rate: r.rate, Publishers: 4}, r, progress)
	})
	loads.Go(func() {
		b.exactly(t, loadtest.Plan{Subscribers: r.polls, Channels: 5, Rate: 10, Transport: loadtest.LongPoll}, r, nil)
	})
	for i := range b.nodes {
		b.nodes[i].signal(syscall.SIGTERM)
		b.nodes[i].wantExit(exitOK)
		b.nodes[i].awaitErr("left=0")
		b.start(t, i)
		awaitAnswer(t, "http://"+b.admin[i]+"/readyz")
		awaitAnswerOf(t, b.url+"/v1/poll?channel=x&wait=0s", fmt.Sprint("n", i+1)) // the load balancer knows
	}
	loads.Wait()
	// A node may have come to hold half of all streams by the time it leaves.
	implied := float64(r.streams) / 2 / r.spread.Seconds()
	peak := slices.Max(connects[1:])
	t.Logf("at most %d reconnects a second; drain.spread implies %.0f", peak, implied)
	if full && float64(peak) > 2*implied {
		t.Errorf("%d reconnects in one second, drain.spread implies %.0f", peak, implied)
	}
}

// exactly runs a load, of which nothing may be lost or repeated.
func (b *balanced) exactly(t *testing.T, p loadtest.Plan, r rolling, progress func(loadtest.Second)) {
	p.Target, p.Duration, p.Patience = loadtest.Target{Nodes: []string{b.url}}, r.duration, 10*time.Second
	result, err := loadtest.Run(t.Context(), p, loadtest.Options{Places: []loadtest.Place{loadtest.InProcess()}, Progress: progress})
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
