package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Phases of a run, the values of Second.Phase.
const (
	phaseArrive  = "arrive"
	phaseSettle  = "settle"
	phaseDeliver = "deliver"
	phaseFinish  = "finish"
)

const (
	// arrivalPatience times Plan.Patience without a new subscriber ends the
	// arrival.
	arrivalPatience = 3
	// lateness is how long to wait for repeats after the last delivery.
	lateness = 200 * time.Millisecond
	// pace is how often a wait checks the time.
	pace = 50 * time.Millisecond
)

// conduct runs the phases, after prepare.
func (c *coordinator) conduct() error {
	c.workers.start(c.ctx)
	c.ticker = time.NewTicker(time.Second)
	c.timeline.began = c.clock.now()
	for _, phase := range []struct {
		name string
		lead func() error
	}{
		{phaseArrive, c.arrive}, {phaseSettle, c.settle}, {phaseDeliver, c.deliver}, {phaseFinish, c.finish},
	} {
		if c.result.Interrupted && phase.name != phaseFinish {
			continue
		}
		c.timeline.phase = phase.name
		if err := phase.lead(); err != nil {
			return err
		}
	}
	c.conclude()
	return nil
}

// await handles the workers' replies until over returns true. It fails if a
// worker fails, or if the caller's context ends with another cause than
// ErrInterrupted.
func (c *coordinator) await(over func() bool) error {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for !over() {
		select {
		case s := <-c.workers.replies:
			if err := c.handleReply(s); err != nil {
				return err
			}
		case <-c.ticker.C:
			c.second()
		case <-tick.C:
		case <-c.interrupted:
			if cause := context.Cause(c.caller); !errors.Is(cause, ErrInterrupted) {
				return cause
			}
			c.interrupted = nil
			c.result.Interrupted = true
		}
	}
	return nil
}

// handleReply handles a reply of a worker, or the end of its stream.
func (c *coordinator) handleReply(s workerReply) error {
	switch {
	case s.err != nil && s.from.final != nil:
		return nil // it has ended as it should
	case s.err != nil:
		return fmt.Errorf("%s: a worker ended in the middle of the run: %w", s.from.host, s.err)
	case s.Failed != "":
		return fmt.Errorf("%s: a worker failed: %s", s.from.host, s.Failed)
	case s.Final != nil:
		s.from.final = s.Final
	case s.Report != nil:
		return c.handleReport(s.from, s.Report)
	}
	return nil
}

func (c *coordinator) handleReport(m *remoteWorker, r *report) error {
	if r.Memory == 0 {
		r.Memory = m.latest.Memory
	}
	m.latest = *r
	if r.Tick > 0 {
		m.answered = r.Tick
	}
	if err := c.tally.addReport(r); err != nil {
		return fmt.Errorf("%s: %w", m.host, err)
	}
	if c.timeline.open && c.answered() {
		c.closeSecond()
	}
	return nil
}

// answered reports whether all workers have replied to the last tick.
func (c *coordinator) answered() bool {
	return c.workers.all(func(m *remoteWorker) bool { return m.answered >= c.timeline.ticks })
}

// sync asks every worker for a report, so that its gauges are up to date.
func (c *coordinator) sync(memory bool) error {
	c.timeline.ticks++
	c.workers.send(order{Tick: &tick{Number: c.timeline.ticks, Memory: memory}})
	began := c.clock.now()
	return c.await(func() bool { return c.answered() || c.clock.now().since(began) > replyTime })
}

func (c *coordinator) arrived() int {
	return sum(c.workers, func(m *remoteWorker) int { return m.latest.Arrived })
}

// arrive connects the subscribers and measures the cost.
func (c *coordinator) arrive() error {
	before := c.meter.readExactly(c.ctx)
	c.tally.memory, c.timeline.charged = before.server.memory, before
	began := c.clock.now()
	c.workers.send(order{Arrive: true})
	patience := arrivalPatience * c.plan.Patience
	arrived, last := 0, began.after(c.plan.Ramp)
	err := c.await(func() bool {
		if n := c.arrived(); n > arrived {
			arrived, last = n, max(last, c.clock.now())
		}
		return c.result.Interrupted || arrived == c.plan.Subscribers || c.clock.now().since(last) > patience
	})
	if err != nil {
		return err
	}
	cost := c.meter.read(c.ctx).server.cpu - before.server.cpu
	if err := c.sync(false); err != nil { // for the errors
		return err
	}
	a := &c.result.Arrival
	a.Subscribers = arrived
	if arrived == 0 && !c.result.Interrupted {
		return fmt.Errorf("no subscriber connected within %v: %s", patience, describe(c.tally.errors))
	}
	for _, m := range c.workers.members {
		a.Seconds = max(a.Seconds, m.latest.LastArrival.since(began).Seconds())
	}
	if a.Seconds > 0 {
		a.PerSecond = float64(arrived) / a.Seconds
	}
	if missing := c.plan.Subscribers - arrived; missing > 0 && !c.result.Interrupted {
		c.warn("%d of %d subscribers did not connect: %s.", missing, c.plan.Subscribers, describe(c.tally.errors))
	}
	if arrived > 0 {
		c.result.Cost.ConnectMicros = micros(cost) / float64(arrived)
	}
	return nil
}

// describe lists the errors by kind, the most frequent first.
func describe(errors map[string]int64) string {
	kinds := slices.SortedFunc(maps.Keys(errors), func(a, b string) int { return int(errors[b] - errors[a]) })
	var parts []string
	for _, kind := range kinds {
		parts = append(parts, fmt.Sprintf("%s %d times", kind, errors[kind]))
	}
	if len(parts) == 0 {
		return "the server did not answer"
	}
	return strings.Join(parts, ", ")
}

// settle waits for Plan.Settle and measures the memory of idle subscribers.
func (c *coordinator) settle() error {
	began := c.clock.now()
	err := c.await(func() bool { return c.result.Interrupted || c.clock.now().since(began) >= c.plan.Settle })
	if err != nil {
		return err
	}
	if err := c.sync(true); err != nil {
		return err
	}
	subscribers := float64(max(1, c.arrived()))
	if c.meter.charges() {
		grown := c.meter.readExactly(c.ctx).server.memory - c.tally.memory
		c.result.Cost.IdleKiB = float64(grown) / 1024 / subscribers
	}
	var own int64
	c.workers.processes(func(m *remoteWorker) { own += max(0, m.latest.Memory-m.hello.Memory) })
	c.result.Cost.GeneratorKiB = float64(own) / 1024 / subscribers
	return nil
}

// finish collects the workers' final reports.
func (c *coordinator) finish() error {
	began := c.clock.now()
	if err := c.await(func() bool { return c.clock.now().since(began) > lateness }); err != nil {
		return err
	}
	if err := c.sync(false); err != nil {
		return err
	}
	c.closeSecond() // the last one may be shorter
	c.workers.send(order{Stop: true})
	began = c.clock.now()
	err := c.await(func() bool {
		return c.workers.all(func(m *remoteWorker) bool { return m.final != nil }) || c.clock.now().since(began) > replyTime
	})
	if err != nil {
		return err
	}
	for _, m := range c.workers.members {
		if m.final == nil {
			return fmt.Errorf("%s: a worker does not answer", m.host)
		}
	}
	return nil
}
