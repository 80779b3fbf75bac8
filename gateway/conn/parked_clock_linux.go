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

// clock is the time since the writer was made.
func (w *writer) clock() time.Duration { return w.elapsed() }

// tickAfter is the first tick that is not sooner than d from now.
func (w *writer) tickAfter(d time.Duration) uint32 {
	at := w.clock() + max(0, d)
	return max(w.now+1, uint32((at+w.tick-1)/w.tick))
}

// keepTime does what has become due. In a flush pass it is called now and then.
func (w *writer) keepTime() {
	for now := uint32(w.clock() / w.tick); w.now < now; {
		w.walk()
	}
}

// lookEvery is after how many writes a pass looks at the clock: some tens of
// microseconds.
const lookEvery = 16

// file has p looked at when it is next due, if it ever is.
func (w *writer) file(p *parked) {
	if wait := p.dueIn(); wait < math.MaxInt64 {
		w.fileAt(p, w.tickAfter(wait))
	}
}

// dueIn is how long p can be left alone but for heartbeats.
func (p *parked) dueIn() time.Duration {
	if p.poll != nil {
		return p.patient()
	}
	wait := time.Duration(math.MaxInt64)
	if p.blocked {
		wait = writeTimeout - time.Duration(p.writer.now-p.written)*p.writer.tick
	}
	if p.ends != 0 {
		wait = min(wait, time.Until(time.UnixMilli(p.ends)), maxAhead)
	}
	return wait
}

func (w *writer) fileAt(p *parked, tick uint32) {
	w.unfile(p)
	list := w.due[tick]
	p.due, p.slot = tick, int32(len(list))
	w.due[tick] = append(list, p)
}

// fileBlocked is for a stream whose socket has just become full.
func (w *writer) fileBlocked(p *parked) {
	if p.poll == nil && (p.due == 0 || p.due > w.now+uint32(writeTimeout/w.tick)+1) {
		w.file(p)
	}
}

// unfile takes p out of the schedule, if it is there.
func (w *writer) unfile(p *parked) {
	if p.due == 0 {
		return
	}
	list := w.due[p.due]
	last := len(list) - 1
	list[p.slot] = list[last]
	list[p.slot].slot = p.slot
	list[last] = nil
	w.due[p.due] = list[:last]
	p.due = 0
}

// endDue does what is filed under this tick.
func (w *writer) endDue() {
	for len(w.due[w.now]) > 0 {
		p := w.due[w.now][0]
		w.unfile(p)
		if p.poll != nil {
			w.answerNothing(p, Answered)
			continue
		}
		if w.endStream(p); !p.gone {
			w.file(p)
		}
	}
	delete(w.due, w.now)
	for w.idle.first != nil && w.idle.first.poll.until <= w.now {
		w.remove(w.idle.first)
	}
}

// endStream ends a stream whose session is over or that has been full for too
// long.
func (w *writer) endStream(p *parked) {
	switch {
	case p.over(w.ms):
		w.goodbye(p, p.why.bye())
	case p.blocked && time.Duration(w.now-p.written)*w.tick >= writeTimeout:
		w.remove(p)
	}
}

// restTimeout is how long a connection may rest between two polls, as the
// server's own idle connections.
const restTimeout = 2 * time.Minute

// minRest is how long it rests at least, also if its descriptor is needed.
const minRest = time.Second

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

// shed closes up to n connections that have rested longest.
func (w *writer) shed(n int) {
	for ; n > 0 && w.idle.first != nil; n-- {
		p := w.idle.first
		if p.poll.until > w.tickAfter(restTimeout-minRest) {
			return
		}
		if p.owner != nil {
			p.owner.listener.closed.Add(1)
		}
		w.remove(p)
	}
}

// shed has every writer close a connection that rests between polls, if it has
// one. It does not wait.
func (p *Parker) shed() {
	for _, w := range p.writers {
		w.hand(func(in *inbox) { in.shed++ })
	}
}
