package conn

import (
	"maps"
	"time"
	"unique"
)

// leaving is a leave under way.
type leaving struct {
	begun bool
	until uint32 // writer.now when nobody may be left
}

// leave says goodbye to all, over the time of spread.
func (w *writer) leave(spread time.Duration) { w.hand(func(in *inbox) { in.leave = &spread }) }

func (w *writer) beginLeave(spread time.Duration) {
	if w.flushing { // the shards that rest come after it
		for _, s := range w.resting {
			s.rested = 0
		}
	} else {
		w.endRests()
	}
	w.leaving = leaving{begun: true, until: uint32((w.clock() + spread) / w.tick)}
}

// goOnLeaving says as many goodbyes as are due at this tick, and all when time
// is up.
func (w *writer) goOnLeaving() {
	ticks := 1
	if w.leaving.until > w.now {
		ticks += int(w.leaving.until - w.now)
	}
	for range (len(w.all) + ticks - 1) / ticks {
		w.sendAway(w.all[len(w.all)-1], Shutdown)
	}
	if len(w.all) == 0 {
		select {
		case <-w.empty:
		default:
			close(w.empty)
		}
	}
}

// sendAway ends whatever p is: a stream hears why, a poll that waits has
// nothing, and a connection that rests between two is closed.
func (w *writer) sendAway(p *parked, why CloseReason) {
	switch {
	case p.poll == nil:
		w.goodbye(p, why)
	case p.poll.waiting:
		w.dismiss(p, why)
	default:
		w.remove(p)
	}
}

// goodbye ends a stream, with a comet.bye if it can be written.
func (w *writer) goodbye(p *parked, why CloseReason) {
	if !p.inside {
		b := appendChunk(nil, p.format.AppendBye(nil, string(why), retryBye()))
		_, _ = p.write(append(b, lastChunk...)) // one that cannot take it misses only the politeness
		p.discard()
	}
	p.why, p.said = codeOf(why), true
	w.remove(p)
}

// cause is why p is over.
func (p *parked) cause() CloseReason {
	if p.said {
		return p.why.bye()
	}
	return Gone
}

// eviction throws out a user: what was issued before a time.
type eviction struct {
	user   unique.Handle[string]
	before int64 // Unix ms
	why    CloseReason
	at     uint32 // writer.now
}

// evictMemory is for how long who was on the way in is still thrown out: longer
// than that takes, on a loaded machine too.
const evictMemory = 10 * time.Second

func (w *writer) evict(user string, before time.Time, why CloseReason) {
	e := eviction{user: unique.Make(user), before: before.UnixMilli(), why: why}
	w.hand(func(in *inbox) { in.evict = append(in.evict, e) })
}

func (w *writer) throwOut(e eviction) {
	e.at = w.now
	if w.evicted[e.user].before <= e.before {
		w.evicted[e.user] = e
	}
	for i := len(w.all) - 1; i >= 0; i-- { // from the end: a removal moves the last one down
		w.throwOutIf(w.all[i], e)
	}
}

func (w *writer) throwOutIf(p *parked, e eviction) {
	if !p.gone && p.user == e.user && p.issued < e.before {
		w.sendAway(p, e.why)
	}
}

func (w *writer) forgetEvicted() {
	memory := uint32(evictMemory / w.tick)
	maps.DeleteFunc(w.evicted, func(_ unique.Handle[string], e eviction) bool { return w.now-e.at > memory })
}

// belongTo makes p of a session.
func (p *parked) belongTo(s *Session) {
	p.user, p.why = unique.Make(s.User), codeOf(s.Reason)
	p.issued, p.ends = unixMilli(s.Issued), unixMilli(s.Until)
}

// unixMilli is 0 for no time.
func unixMilli(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixMilli()
}

// over reports whether p's session is, at a time in Unix ms.
func (p *parked) over(ms int64) bool { return p.ends > 0 && p.ends <= ms }

// patient is how long a poll may wait: no longer than its session.
func (p *parked) patient() time.Duration {
	if p.ends == 0 {
		return p.poll.wait
	}
	return max(0, min(p.poll.wait, time.Until(time.UnixMilli(p.ends))))
}

// welcome throws out who has just come and may not stay.
func (w *writer) welcome(p *parked) {
	if e, ok := w.evicted[p.user]; ok {
		w.throwOutIf(p, e)
	}
	if w.leaving.begun && !p.gone {
		w.sendAway(p, Shutdown)
	}
}
