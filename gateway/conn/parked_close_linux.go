package conn

import (
	"maps"
	"time"
	"unique"
)

// closer ends a writer's connections with a reason: one at a time, all of a user
// that is revoked, or all in a drain.
type closer struct {
	registry *registry
	polls    *pollServer
	schedule *schedule

	draining draining
	revoked  map[unique.Handle[string]]revocation // lately
}

// draining is the state of a drain.
type draining struct {
	begun bool
	until uint32 // the tick at which all connections are closed
}

// beginDrain begins to close all connections, spread over time.
func (c *closer) beginDrain(spread time.Duration) {
	c.draining = draining{begun: true, until: c.schedule.ticks(c.schedule.elapsed() + spread)}
}

// drainStep closes the share of the connections that is due at this tick: all of
// them at the end of the drain.
func (c *closer) drainStep() {
	ticks := 1
	if c.draining.until > c.schedule.now {
		ticks += int(c.draining.until - c.schedule.now)
	}
	all := &c.registry.all
	due := (len(*all) + ticks - 1) / ticks
	for i := len(*all) - 1; i >= 0 && due > 0; i-- { // from the end: a removal moves the last one down
		if p := (*all)[i]; p.poll == nil || !p.poll.answering() || !p.poll.other.closing {
			c.close(p, Shutdown)
			due--
		}
	}
	if len(*all) == 0 {
		select {
		case <-c.registry.drained:
		default:
			close(c.registry.drained)
		}
	}
}

// close ends p: a stream with a comet.bye, a poll that waits with an empty answer,
// and an idle connection without a word.
func (c *closer) close(p *parked, reason CloseReason) {
	switch {
	case p.poll == nil:
		c.closeStream(p, reason)
	case p.poll.waiting:
		c.polls.close(p, reason)
	case p.poll.answering():
		p.poll.other.closing = true
	default:
		c.registry.close(p)
	}
}

// closeStream ends a stream, with a comet.bye if the socket takes it.
func (c *closer) closeStream(p *parked, reason CloseReason) {
	if !p.midChunk {
		bye := p.format.AppendBye(nil, string(reason), reconnectDelay())
		if p.gzip {
			content := len(bye)
			bye = p.single[0].shard.appendEnd(nil, p, bye)
			p.writer.counters.addGzip(content, len(bye))
		}
		_, _ = p.write(append(appendChunk(nil, bye), lastChunk...)) // without it the client still sees the stream end
		p.discardInput()
	}
	p.reason, p.reasonSent = codeOf(reason), true
	c.registry.close(p)
}

// closeReason is why p has ended.
func (p *parked) closeReason() CloseReason {
	if p.reasonSent {
		return p.reason.reason()
	}
	return Gone
}

// revocation ends the connections of a user that were issued before a time.
type revocation struct {
	user   unique.Handle[string]
	before int64 // Unix ms
	reason CloseReason
	tick   uint32 // when it came
}

// revocationMemory is how long a revocation applies to connections that are parked
// after it: longer than the way from authentication to parking takes, on a loaded
// machine too.
const revocationMemory = 10 * time.Second

// revoke closes the connections that r is about, and remembers it.
func (c *closer) revoke(r revocation) {
	r.tick = c.schedule.now
	if c.revoked[r.user].before <= r.before {
		c.revoked[r.user] = r
	}
	for i := len(c.registry.all) - 1; i >= 0; i-- { // from the end: a removal moves the last one down
		c.closeIfRevoked(c.registry.all[i], r)
	}
}

func (c *closer) closeIfRevoked(p *parked, r revocation) {
	if !p.removed && p.user == r.user && p.issued < r.before {
		c.close(p, r.reason)
	}
}

// forgetRevoked forgets old revocations.
func (c *closer) forgetRevoked() {
	memory := c.schedule.ticks(revocationMemory)
	maps.DeleteFunc(c.revoked, func(_ unique.Handle[string], r revocation) bool { return c.schedule.now-r.tick > memory })
}

// checkNew closes p, which has just been parked, if it was revoked on its way or
// if the node drains.
func (c *closer) checkNew(p *parked) {
	if r, ok := c.revoked[p.user]; ok {
		c.closeIfRevoked(p, r)
	}
	if c.draining.begun && !p.removed {
		c.close(p, Shutdown)
	}
}

// setSession makes s the session of p.
func (p *parked) setSession(s *Session) {
	p.user, p.reason = unique.Make(s.User), codeOf(s.Reason)
	p.issued, p.until = unixMilli(s.Issued), unixMilli(s.Until)
}

// unixMilli is 0 for the zero time.
func unixMilli(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixMilli()
}

// expired reports whether p's session has ended, at a time in Unix ms.
func (p *parked) expired(ms int64) bool { return p.until > 0 && p.until <= ms }

// waitLeft is how long a poll may wait: no longer than its session.
func (p *parked) waitLeft() time.Duration {
	if p.until == 0 {
		return p.poll.wait
	}
	return max(0, min(p.poll.wait, time.Until(time.UnixMilli(p.until))))
}
