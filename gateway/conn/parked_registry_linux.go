package conn

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// registry has a writer's connections and gives them slots in the shards of their
// feeds. Its counts may be read by any goroutine.
type registry struct {
	parker   *Parker
	schedule *schedule

	all     []*parked
	idle    idleList
	count   atomic.Int64 // of all
	gauges  gauges
	drained chan struct{} // closed when a drain has closed all
}

// add makes p one of the writer's connections, with slots in its shards. Call
// p.joined when p is up to date.
func (r *registry) add(p *parked) {
	p.index = int32(len(r.all))
	r.all = append(r.all, p)
	r.count.Add(1)
	r.gauges.add(p, 1)
	r.addSlots(p)
}

// addSlots gives p a slot in each shard that it has joined, and schedules it.
func (r *registry) addSlots(p *parked) {
	p.writtenTick = r.schedule.now
	for i := range p.positions {
		p.positions[i].slot = p.positions[i].shard.addSlot(slot{p, int32(i)})
	}
	r.schedule.add(p)
}

// close closes p's connection and removes p.
func (r *registry) close(p *parked) {
	if p.removed {
		return
	}
	r.remove(p)
	r.parker.poller.freeSlot(p)
	_ = unix.Close(int(p.fd)) // nothing can be done about an error
	if p.owner != nil {
		p.owner.release()
	}
	if p.poll == nil || p.poll.waiting {
		p.ended(p.closeReason())
	}
}

// closeAll closes all connections.
func (r *registry) closeAll() {
	for len(r.all) > 0 {
		r.close(r.all[len(r.all)-1])
	}
}

// remove takes p out of everything but the poller.
func (r *registry) remove(p *parked) {
	p.removed = true
	last := len(r.all) - 1
	r.all[p.index] = r.all[last]
	r.all[p.index].index = p.index
	r.all[last] = nil
	r.all = r.all[:last]
	r.count.Add(-1)
	r.gauges.add(p, -1)
	r.schedule.remove(p)
	if p.poll != nil && !p.poll.waiting {
		r.idle.remove(p)
	}
	r.removeSlots(p)
}

// removeSlots frees p's slots and releases the feeds.
func (r *registry) removeSlots(p *parked) {
	p.countPatterns(-1)
	for i := range p.positions {
		s := p.positions[i].shard
		s.removeSlot(p.positions[i].slot, p.needsFeed())
		r.parker.feeds.release(s.feed)
	}
}

// setIdle makes p, a poll that waits, an idle connection.
func (r *registry) setIdle(p *parked) {
	r.schedule.remove(p)
	r.removeSlots(p)
	clear(p.positions)
	p.positions = p.positions[:0]
	if p.poll.repeated == nil {
		p.unshared = nil
	}
	r.gauges.add(p, -1)
	p.poll.waiting = false
	r.gauges.add(p, 1)
	p.poll.idleUntil = r.schedule.after(idlePollTimeout)
	r.idle.add(p)
}

// setWaiting makes p, an idle connection that has joined its feeds, a poll that
// waits.
func (r *registry) setWaiting(p *parked, wait time.Duration) {
	r.idle.remove(p)
	r.gauges.add(p, -1)
	p.poll.wait, p.poll.waiting = wait, true
	r.gauges.add(p, 1)
	r.addSlots(p)
}

// idlePollTimeout is how long a connection may be idle between two polls; the
// server's own limit for idle connections is the same.
const idlePollTimeout = 2 * time.Minute

// minIdlePoll is how long it may be idle at least, even when its descriptor is
// needed.
const minIdlePoll = time.Second

// closeIdle closes up to n connections, those that have been idle longest.
func (r *registry) closeIdle(n int) {
	for ; n > 0 && r.idle.first != nil; n-- {
		p := r.idle.first
		if p.poll.idleUntil > r.schedule.after(idlePollTimeout-minIdlePoll) {
			return
		}
		if p.owner != nil {
			p.owner.listener.closed.Add(1)
		}
		r.close(p)
	}
}

// closeTimedOut closes the connections that have been idle for idlePollTimeout.
func (r *registry) closeTimedOut() {
	for r.idle.first != nil && r.idle.first.poll.idleUntil <= r.schedule.now {
		r.close(r.idle.first)
	}
}

// idleList has the connections that are idle between polls, the longest first.
type idleList struct{ first, last *parked }

func (l *idleList) add(p *parked) {
	p.poll.older, p.poll.newer = l.last, nil
	if l.last != nil {
		l.last.poll.newer = p
	} else {
		l.first = p
	}
	l.last = p
}

func (l *idleList) remove(p *parked) {
	if p.poll.older != nil {
		p.poll.older.poll.newer = p.poll.newer
	} else {
		l.first = p.poll.newer
	}
	if p.poll.newer != nil {
		p.poll.newer.poll.older = p.poll.older
	} else {
		l.last = p.poll.older
	}
	p.poll.older, p.poll.newer = nil, nil
}

// gauges are a writer's numbers of parked connections, by kind.
type gauges struct {
	parked    [Transports]atomic.Int64
	idlePolls atomic.Int64
}

// add adds change to the gauge of p's current kind.
func (g *gauges) add(p *parked, change int64) {
	if p.poll != nil && !p.poll.waiting {
		g.idlePolls.Add(change)
		return
	}
	g.parked[p.transport()].Add(change)
}

// transport is how messages come to p's client.
func (p *parked) transport() Transport {
	if p.poll != nil {
		if p.poll.other != nil {
			return p.poll.other.answerer.Transport()
		}
		return OverPoll
	}
	return TransportOf(p.format)
}
