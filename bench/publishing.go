package bench

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// publishing publishes the messages of a run.
type publishing struct {
	plan   *Plan
	run    uint32
	clock  clock
	turns  turns
	total  int  // messages
	known  bool // total is known; else only time ends the publishing
	client *client
	halted chan struct{} // closed by halt

	once  sync.Once
	began instant

	mu      sync.Mutex
	counts  Publish // without times
	latency histogram
	errors  map[string]int64
	issued  []int // by publisher
	exempt  []exempt
	lastAck instant
}

func newPublishing(plan *Plan, run uint32, clock clock, client *client) *publishing {
	p := &publishing{
		plan: plan, run: run, clock: clock, turns: plan.turns(), client: client, halted: make(chan struct{}),
		latency: newHistogram(), errors: make(map[string]int64), issued: make([]int, plan.Publishers),
	}
	p.total, p.known = plan.total()
	return p
}

// halt makes work return after the messages in flight.
func (p *publishing) halt() { p.once.Do(func() { close(p.halted) }) }

// work publishes all messages. It returns when the fate of each is known or
// given up.
func (p *publishing) work(ctx context.Context, began instant) {
	p.began = began
	var publishers sync.WaitGroup
	for number := range p.plan.Publishers {
		publishers.Go(func() { p.publishAll(ctx, number) })
	}
	publishers.Wait()
}

// due returns when message i is to be published. With a rate, a slow server does
// not slow the schedule down: if all publishers wait, the wait is part of the
// latency.
func (p *publishing) due(i int) instant {
	if p.plan.Rate > 0 {
		return p.began.after(time.Duration(float64(i) / p.plan.Rate * float64(time.Second)))
	}
	return p.clock.now()
}

// over reports whether message i, which is due then, is after the end.
func (p *publishing) over(i int, due instant) bool {
	return p.known && i >= p.total || p.plan.Duration > 0 && due.since(p.began) >= p.plan.Duration
}

// late reports whether everything should have been published by now.
func (p *publishing) late() bool {
	if p.plan.Rate > 0 && p.known {
		return p.clock.now() > p.due(p.total)
	}
	return true
}

// publishAll publishes all messages of one publisher.
func (p *publishing) publishAll(ctx context.Context, number int) {
	to := p.client.publisher(number, p.halted)
	for turn := 0; ; turn++ {
		i := turn*p.turns.publishers + number
		due := p.due(i)
		if p.over(i, due) || !p.await(ctx, due) {
			return
		}
		m := payloadHeader{p.run, uint32(p.turns.channel(i)), uint32(number), uint32(p.turns.sequence(i)), due}
		fate := to.deliver(ctx, &m, p.key(i), p.plan.Size)
		p.recordFate(&m, fate, turn)
		if to.gaveUp && p.late() {
			return // the server is gone, and the time is over
		}
	}
}

func (p *publishing) key(i int) string { return fmt.Sprintf("%08x-%d", p.run, i) }

// await waits until due. It returns false if publishing was halted.
func (p *publishing) await(ctx context.Context, due instant) bool {
	timer := time.NewTimer(due.since(p.clock.now()))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.halted:
		return false
	case <-ctx.Done():
		return false
	}
	select {
	case <-p.halted:
		return false
	default:
		return true
	}
}

// fate is the outcome of a publish with its retries.
type fate struct {
	verdict verdict
	retried int
	errors  []string // kinds
}

type verdict int

const (
	acknowledged verdict = iota
	failed               // it was not published
	undecided            // it may have been published
)

// recordFate counts the outcome of a publisher's message.
func (p *publishing) recordFate(m *payloadHeader, f fate, turn int) {
	now := p.clock.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.issued[m.publisher] = turn + 1
	p.counts.Retried += f.retried
	for _, kind := range f.errors {
		p.errors["publish "+kind]++
	}
	switch f.verdict {
	case acknowledged:
		p.counts.Acknowledged++
		p.latency.record(now.since(m.due))
		p.lastAck = now
		return
	case failed:
		p.counts.Failed++
	case undecided:
		p.counts.Unknown++
	}
	p.exempt = append(p.exempt, exempt{m.channel, m.publisher, m.sequence})
}

// soFar returns the numbers of acknowledged publishes and of errors. It may be
// called while work runs.
func (p *publishing) soFar() (acknowledged int, errors int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.errors {
		errors += n
	}
	return p.counts.Acknowledged, errors
}

// unsent returns the number of messages of the plan that were never sent.
func (p *publishing) unsent() int {
	sent := 0
	for _, n := range p.issued {
		sent += n
	}
	if !p.known {
		return 0
	}
	return max(0, p.total-sent)
}

// result returns the counts and latency. It must be called after work.
func (p *publishing) result() Publish {
	r := p.counts
	r.Latency = p.latency.latency()
	if took := p.lastAck.since(p.began).Seconds(); p.lastAck != 0 && took > 0 {
		r.PerSecond = float64(r.Acknowledged) / took
	}
	return r
}
