package conn

import (
	"math"
	"time"
)

// A writer's schedule is its own clock: w.now counts ticks since it was made.
// What has to be looked at in time is filed under a tick: polls that wait, streams
// whose session ends, and streams that are full. A long flush pass looks at the
// clock too, so that nothing is late by more than a tick and a little.

// maxAhead is how far ahead a stream is filed. If its end is later, it is filed
// again then, which keeps the schedule small and follows the wall clock.
const maxAhead = time.Minute

// since is the time since the writer was made.
func (w *writer) since() time.Duration { return w.elapsed() }

// tickAfter is the first tick that is not sooner than d from now.
func (w *writer) tickAfter(d time.Duration) uint32 {
	at := w.since() + max(0, d)
	return max(w.now+1, uint32((at+w.tick-1)/w.tick))
}

// keepTime does what has become due. In a flush pass it is called now and then.
func (w *writer) keepTime() {
	for now := uint32(w.since() / w.tick); w.now < now; {
		w.advance()
	}
}

// keepTimeSteps is after how many writes a pass looks at the clock: some tens of
// microseconds.
const keepTimeSteps = 16

// schedule has p looked at when it is next due, if it ever is.
func (w *writer) schedule(p *parked) {
	if wait := p.waitDue(); wait < math.MaxInt64 {
		w.scheduleAt(p, w.tickAfter(wait))
	}
}

// waitDue is how long p can be left alone but for heartbeats.
func (p *parked) waitDue() time.Duration {
	if p.poll != nil {
		return p.waitLeft()
	}
	wait := time.Duration(math.MaxInt64)
	if p.blocked {
		wait = writeTimeout - time.Duration(p.writer.now-p.writtenTick)*p.writer.tick
	}
	if p.until != 0 {
		wait = min(wait, time.Until(time.UnixMilli(p.until)), maxAhead)
	}
	return wait
}

func (w *writer) scheduleAt(p *parked, tick uint32) {
	w.unschedule(p)
	list := w.due[tick]
	p.dueTick, p.dueIndex = tick, int32(len(list))
	w.due[tick] = append(list, p)
}

// scheduleBlocked is for a stream whose socket has just become full.
func (w *writer) scheduleBlocked(p *parked) {
	if p.poll == nil && (p.dueTick == 0 || p.dueTick > w.now+uint32(writeTimeout/w.tick)+1) {
		w.schedule(p)
	}
}

// unschedule takes p out of the schedule, if it is there.
func (w *writer) unschedule(p *parked) {
	if p.dueTick == 0 {
		return
	}
	list := w.due[p.dueTick]
	last := len(list) - 1
	list[p.dueIndex] = list[last]
	list[p.dueIndex].dueIndex = p.dueIndex
	list[last] = nil
	w.due[p.dueTick] = list[:last]
	p.dueTick = 0
}

// runDue does what is filed under this tick.
func (w *writer) runDue() {
	for len(w.due[w.now]) > 0 {
		p := w.due[w.now][0]
		w.unschedule(p)
		if p.poll != nil {
			w.answerNothing(p, Answered)
			continue
		}
		if w.closeDue(p); !p.removed {
			w.schedule(p)
		}
	}
	delete(w.due, w.now)
	for w.idle.first != nil && w.idle.first.poll.idleUntil <= w.now {
		w.close(w.idle.first)
	}
}

// closeDue ends a stream whose session is over or that has been full for too
// long.
func (w *writer) closeDue(p *parked) {
	switch {
	case p.expired(w.ms):
		w.closeStream(p, p.reason.reason())
	case p.blocked && time.Duration(w.now-p.writtenTick)*w.tick >= writeTimeout:
		w.close(p)
	}
}

// idlePollTimeout is how long a connection may rest between two polls, as the
// server's own idle connections.
const idlePollTimeout = 2 * time.Minute

// minIdlePoll is how long it rests at least, also if its descriptor is needed.
const minIdlePoll = time.Second

// idleList is connections that rest between polls, the longest first.
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

// closeIdlePolls closes up to n connections that have rested longest.
func (w *writer) closeIdlePolls(n int) {
	for ; n > 0 && w.idle.first != nil; n-- {
		p := w.idle.first
		if p.poll.idleUntil > w.tickAfter(idlePollTimeout-minIdlePoll) {
			return
		}
		if p.counted != nil {
			p.counted.listener.closed.Add(1)
		}
		w.close(p)
	}
}

// closeIdlePoll has every writer close a connection that rests between polls, if it has
// one. It does not wait.
func (p *Parker) closeIdlePoll() {
	for _, w := range p.writers {
		w.hand(func(in *inbox) { in.closeIdle++ })
	}
}
