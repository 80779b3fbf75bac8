package conn

import (
	"maps"
	"time"
	"unique"
)

// draining is a leave under way.
type draining struct {
	begun bool
	until uint32 // writer.now when nobody may be left
}

// drain says goodbye to all, over the time of spread.
func (w *writer) drain(spread time.Duration) { w.hand(func(in *inbox) { in.drain = &spread }) }

func (w *writer) beginDrain(spread time.Duration) {
	if w.flushing { // the shards that rest come after it
		for _, s := range w.deferred {
			s.deferUntil = 0
		}
	} else {
		w.flushAllDeferred()
	}
	w.draining = draining{begun: true, until: uint32((w.since() + spread) / w.tick)}
}

// drainStep says as many goodbyes as are due at this tick, and all when time
// is up.
func (w *writer) drainStep() {
	ticks := 1
	if w.draining.until > w.now {
		ticks += int(w.draining.until - w.now)
	}
	for range (len(w.all) + ticks - 1) / ticks {
		w.closeWith(w.all[len(w.all)-1], Shutdown)
	}
	if len(w.all) == 0 {
		select {
		case <-w.drained:
		default:
			close(w.drained)
		}
	}
}

// closeWith ends whatever p is: a stream hears why, a poll that waits has
// nothing, and a connection that rests between two is closed.
func (w *writer) closeWith(p *parked, why CloseReason) {
	switch {
	case p.poll == nil:
		w.closeStream(p, why)
	case p.poll.waiting:
		w.closePoll(p, why)
	default:
		w.close(p)
	}
}

// closeStream ends a stream, with a comet.bye if it can be written.
func (w *writer) closeStream(p *parked, why CloseReason) {
	if !p.midChunk {
		b := appendChunk(nil, p.format.AppendBye(nil, string(why), reconnectDelay()))
		_, _ = p.write(append(b, lastChunk...)) // one that cannot take it misses only the politeness
		p.discardInput()
	}
	p.reason, p.reasonSent = codeOf(why), true
	w.close(p)
}

// closeReason is why p is over.
func (p *parked) closeReason() CloseReason {
	if p.reasonSent {
		return p.reason.reason()
	}
	return Gone
}

// revocation throws out a user: what was issued before a time.
type revocation struct {
	user   unique.Handle[string]
	before int64 // Unix ms
	reason CloseReason
	at     uint32 // writer.now
}

// revocationMemory is for how long who was on the way in is still thrown out: longer
// than that takes, on a loaded machine too.
const revocationMemory = 10 * time.Second

func (w *writer) revoke(user string, before time.Time, why CloseReason) {
	e := revocation{user: unique.Make(user), before: before.UnixMilli(), reason: why}
	w.hand(func(in *inbox) { in.revoke = append(in.revoke, e) })
}

func (w *writer) closeRevoked(e revocation) {
	e.at = w.now
	if w.revoked[e.user].before <= e.before {
		w.revoked[e.user] = e
	}
	for i := len(w.all) - 1; i >= 0; i-- { // from the end: a removal moves the last one down
		w.closeIfRevoked(w.all[i], e)
	}
}

func (w *writer) closeIfRevoked(p *parked, e revocation) {
	if !p.removed && p.user == e.user && p.issued < e.before {
		w.closeWith(p, e.reason)
	}
}

func (w *writer) forgetRevoked() {
	memory := uint32(revocationMemory / w.tick)
	maps.DeleteFunc(w.revoked, func(_ unique.Handle[string], e revocation) bool { return w.now-e.at > memory })
}

// setSession makes p of a session.
func (p *parked) setSession(s *Session) {
	p.user, p.reason = unique.Make(s.User), codeOf(s.Reason)
	p.issued, p.until = unixMilli(s.Issued), unixMilli(s.Until)
}

// unixMilli is 0 for no time.
func unixMilli(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixMilli()
}

// expired reports whether p's session is, at a time in Unix ms.
func (p *parked) expired(ms int64) bool { return p.until > 0 && p.until <= ms }

// waitLeft is how long a poll may wait: no longer than its session.
func (p *parked) waitLeft() time.Duration {
	if p.until == 0 {
		return p.poll.wait
	}
	return max(0, min(p.poll.wait, time.Until(time.UnixMilli(p.until))))
}

// checkNew throws out who has just come and may not stay.
func (w *writer) checkNew(p *parked) {
	if e, ok := w.revoked[p.user]; ok {
		w.closeIfRevoked(p, e)
	}
	if w.draining.begun && !p.removed {
		w.closeWith(p, Shutdown)
	}
}
