package bench

import "time"

// timeline is the state of the run's seconds. A second is closed when all workers
// have reported it.
type timeline struct {
	began   instant
	phase   string
	ticks   int     // reports asked of the workers
	open    bool    // asked for a second, and not all have answered
	asked   instant // when
	closed  instant // end of the second before
	acked   int     // publishes before this second
	errors  int64   // of publishes before this second
	charged reading // of the meter then
}

// second asks the workers for a report of the second that ends.
func (c *coordinator) second() {
	if c.timeline.open {
		c.closeSecond() // without those who did not answer
	}
	c.timeline.ticks++
	c.timeline.open, c.timeline.asked = true, c.clock.now()
	c.workers.send(order{Tick: &tick{Number: c.timeline.ticks}})
}

// closeSecond adds a second to the timeline: the counts since the one before.
func (c *coordinator) closeSecond() {
	t := &c.timeline
	now := c.clock.now()
	if t.open {
		now = t.asked
	}
	s := c.tally.takeSecond()
	s.At = now.since(t.began).Seconds()
	s.Phase = t.phase
	s.Connected = sum(c.workers, func(m *remoteWorker) int { return m.latest.Connected })
	s.Missing = sum(c.workers, func(m *remoteWorker) int64 { return m.latest.Missing })
	acked, errors := c.publishing.soFar()
	s.Published, t.acked = acked-t.acked, acked
	s.Errors, t.errors = s.Errors+errors-t.errors, errors
	if c.meter.charges() {
		charged := c.meter.read(c.ctx)
		since := max(t.closed, t.began)
		if took := now.since(since).Seconds(); t.charged != (reading{}) && took > 0 {
			s.ServerCPU = (charged.server.cpu - t.charged.server.cpu).Seconds() / took
		}
		s.ServerMiB = float64(charged.server.memory) / (1 << 20)
		t.charged = charged
	}
	t.open, t.closed = false, now
	c.result.Timeline = append(c.result.Timeline, s)
	if c.options.Progress != nil {
		c.options.Progress(s)
	}
}

// tally is the sum of the workers' reports.
type tally struct {
	memory          int64 // of the server, before the arrival
	latency, resume histogram
	deliveries      int64
	bytes, requests int64
	errors          map[string]int64
	lag             time.Duration // the longest since it was set to 0

	second        Second // so far
	secondLatency histogram
}

func newTally() tally {
	return tally{latency: newHistogram(), resume: newHistogram(), secondLatency: newHistogram(), errors: make(map[string]int64)}
}

// addReport adds a report. It returns an error for a malformed histogram.
func (t *tally) addReport(r *report) error {
	for _, h := range []struct {
		to   histogram
		from string
	}{{t.latency, r.Latency}, {t.secondLatency, r.Latency}, {t.resume, r.Resume}} {
		if err := h.to.merge(h.from); err != nil {
			return err
		}
	}
	t.deliveries += r.Deliveries
	t.bytes += r.Bytes
	t.requests += r.Requests
	t.second.Connects += r.Connects
	t.second.Deliveries += r.Deliveries
	t.second.Bytes += r.Bytes
	t.second.Requests += r.Requests
	for kind, n := range r.Errors {
		t.errors[kind] += n
		t.second.Errors += n
	}
	t.lag = max(t.lag, r.Lag)
	return nil
}

// takeSecond returns the counts since the last call.
func (t *tally) takeSecond() Second {
	s := t.second
	if h := t.secondLatency; h.TotalCount() > 0 {
		l := h.latency()
		s.P50, s.P90, s.P99, s.P999, s.Max = l.P50, l.P90, l.P99, l.P999, l.Max
		h.Reset()
	}
	t.second = Second{}
	return s
}
