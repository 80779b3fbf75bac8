package conn

import (
	"time"

	"comet/gateway/deflate"
	"comet/gateway/wire"
)

// A writer has at least minHeartbeatTicks ticks in a heartbeat interval. It checks
// each of its streams checksPerHeartbeat times in an interval, or more often if
// that would take more than maxCheckTime; the checks are spread over the ticks,
// which spreads the heartbeats. A stream gets a heartbeat if it would be late at
// its next check. The ends of polls and sessions are scheduled for their ticks.
const (
	minHeartbeatTicks  = 32
	checksPerHeartbeat = 8
	maxTick            = 100 * time.Millisecond
	maxCheckTime       = 3 * time.Second
)

// clock does a writer's work that has its time: heartbeats, the ends of sessions,
// polls and stalled streams, and the steps of a drain. A long flush pass calls it
// too, so that nothing is late by more than a tick and a little.
type clock struct {
	schedule
	registry *registry
	polls    *pollServer
	closer   *closer
	urgent   func() // does the urgent work in the writer's inbox

	heartbeatTicks uint32                         // ticks in a heartbeat interval
	checkTicks     uint32                         // ticks in which all streams are checked
	nextCheck      int                            // the index in registry.all
	heartbeat      [wire.Formats]encodedHeartbeat // by format
}

// encodedHeartbeat is a heartbeat in one format.
type encodedHeartbeat struct{ content, plain, gzip []byte }

func newHeartbeat(f wire.Format) encodedHeartbeat {
	content := f.AppendHeartbeat(nil)
	return encodedHeartbeat{content, appendChunk(nil, content), appendChunk(nil, deflate.AppendStored(nil, content))}
}

// of is the heartbeat for p.
func (h *encodedHeartbeat) of(p *parked) []byte {
	if p.gzip {
		return h.gzip
	}
	return h.plain
}

func (c *clock) init(heartbeat time.Duration) {
	tick := min(heartbeat/minHeartbeatTicks, maxTick)
	made := time.Now()
	c.schedule = schedule{tick: tick, elapsed: func() time.Duration { return time.Since(made) }, due: make(map[uint32][]*parked)}
	c.heartbeatTicks = c.ticks(heartbeat)
	c.checkTicks = min(c.heartbeatTicks/checksPerHeartbeat, c.ticks(maxCheckTime))
	for f := range c.heartbeat {
		c.heartbeat[f] = newHeartbeat(wire.Format(f))
	}
}

// keepTime does the work of all ticks up to now.
func (c *clock) keepTime() {
	for now := c.ticks(c.elapsed()); c.now < now; {
		c.advance()
	}
}

// keepTimeSteps is the number of writes after which a flush pass calls keepTime:
// they take some tens of microseconds.
const keepTimeSteps = 16

// keepTimeEvery calls keepTime at some of the steps of a long piece of work.
func (c *clock) keepTimeEvery(step int) {
	if step%keepTimeSteps == keepTimeSteps-1 {
		c.keepTime()
	}
}

// advance does the work of the next tick.
func (c *clock) advance() {
	c.now++
	c.closer.forgetRevoked()
	c.urgent()
	if c.closer.draining.begun {
		c.closer.drainStep()
	}
	ms := time.Now().UnixMilli()
	c.endDue(ms)
	for range len(c.registry.all)/int(c.checkTicks) + 1 {
		n := len(c.registry.all)
		if n == 0 {
			return
		}
		c.nextCheck = (c.nextCheck + 1) % n
		c.check(c.registry.all[c.nextCheck], ms)
	}
}

// endDue ends what is due at this tick; ms is the wall clock.
func (c *clock) endDue(ms int64) {
	for p := c.next(); p != nil; p = c.next() {
		if p.poll != nil {
			c.polls.answerEmpty(p, p.pollReason(ms))
			continue
		}
		if c.endStream(p, ms); !p.removed {
			c.add(p)
		}
	}
	c.registry.closeTimedOut()
}

// pollReason is why a poll ends that is due: its time, or that of its session. Comet's own
// polls do not tell their clients.
func (p *parked) pollReason(ms int64) CloseReason {
	if p.poll.other != nil && p.expired(ms) {
		return p.reason.reason()
	}
	return Answered
}

// endStream ends a stream with an expired session, or one that has been stalled
// for writeTimeout.
func (c *clock) endStream(p *parked, ms int64) {
	switch {
	case p.expired(ms):
		c.closer.closeStream(p, p.reason.reason())
	case p.blocked && c.silence(p) >= writeTimeout:
		c.registry.close(p)
	}
}

// check ends a stream that is over or slow, or writes a heartbeat to it if that is
// due before the next check.
func (c *clock) check(p *parked, ms int64) {
	if p.gzip {
		p.single[0].shard.feed.releaseEncoder(time.Now())
	}
	switch {
	case p.poll != nil:
	case p.expired(ms): // before it is due, because the wall clock was set
		c.closer.closeStream(p, p.reason.reason())
	case p.blocked && p.outrun():
		c.closer.closeStream(p, Slow)
	case !p.blocked && c.now-p.writtenTick+c.checkInterval() >= c.heartbeatTicks:
		c.sendHeartbeat(p)
	}
}

// checkInterval is the most ticks between two checks of a stream.
func (c *clock) checkInterval() uint32 { return min(c.checkTicks, uint32(len(c.registry.all))) }

// sendHeartbeat writes a heartbeat. It closes the connection if that fails.
func (c *clock) sendHeartbeat(p *parked) {
	h := &c.heartbeat[p.format]
	b := h.of(p)
	switch n, err := p.write(b); {
	case err != nil, 0 < n && n < len(b): // a part of it: the socket is full, though little was written
		c.registry.close(p)
	case n > 0:
		p.writtenTick = c.now
		if p.gzip {
			p.single[0].shard.insert(p, func(w *deflate.Whole) { w.Add(h.content) })
			p.writer.counters.addGzip(len(h.content), n)
		}
	}
}
