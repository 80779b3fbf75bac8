package hook

import (
	"sync"
	"time"
)

// askerID is the client of a question. A key asks for many clients, so each of its
// questions counts as a client of its own, with the number n.
type askerID struct {
	identity
	n uint64
}

// breaker is a circuit breaker. It opens after the questions of several clients
// failed in a row: a client whose questions all fail must not stop the others.
// After a pause some clients probe. A success closes the breaker, and failures of as
// many clients begin another pause.
//
// sony/gobreaker does not fit: it counts failures without their client, one failed
// probe opens it again, and it does not report how long it stays open.
type breaker struct {
	limit int           // clients whose questions fail in a row
	pause time.Duration // since the last failure

	mu     sync.Mutex
	keys   uint64               // questions of keys so far
	era    int64                // grows at every change; results of earlier eras are ignored
	failed map[askerID]struct{} // closed: failed in a row; open: probing in this round
	probes int                  // of this round, in flight
	until  time.Time            // end of the pause; zero: closed
	round  time.Time            // when this round of probes began; zero: no round
}

// ticket is a question that the breaker allowed.
type ticket struct {
	asker askerID
	era   int64
}

// allow reports whether a question may be sent. If ok, succeeded, hasFailed or
// discarded must be called with the ticket. Otherwise wait is how long questions of
// this client will be rejected.
func (b *breaker) allow(asker identity) (t ticket, wait time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t.asker.identity = asker
	if asker.key != "" {
		b.keys++
		t.asker.n = b.keys
	}
	if b.until.IsZero() {
		t.era = b.era
		return t, 0, true
	}
	now := time.Now()
	if wait = b.until.Sub(now); wait > 0 {
		return t, wait, false
	}
	if b.round.IsZero() || now.Sub(b.round) >= b.pause {
		b.change()
		b.round = now
	}
	if _, probed := b.failed[t.asker]; probed || len(b.failed) >= b.limit {
		return t, b.pause - now.Sub(b.round), false
	}
	b.add(t.asker)
	b.probes++
	t.era = b.era
	return t, 0, true
}

// succeeded records a success and reports whether it closed the breaker.
func (b *breaker) succeeded(t ticket) (closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t.era != b.era {
		return false
	}
	if b.until.IsZero() {
		clear(b.failed)
		return false
	}
	b.change()
	b.until = time.Time{}
	return true
}

// hasFailed records a failure and reports whether it opened the breaker.
func (b *breaker) hasFailed(t ticket) (opened bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t.era != b.era {
		return false
	}
	opened = b.until.IsZero()
	if opened {
		b.add(t.asker)
	} else {
		b.probes--
	}
	if len(b.failed) < b.limit || b.probes > 0 {
		return false
	}
	b.change()
	b.until = time.Now().Add(b.pause)
	return opened
}

// discarded records that a question ended without a result.
func (b *breaker) discarded(t ticket) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t.era == b.era && !b.until.IsZero() {
		delete(b.failed, t.asker)
		b.probes--
	}
}

// change begins another era. The caller holds mu.
func (b *breaker) change() {
	b.era++
	clear(b.failed)
	b.probes, b.round = 0, time.Time{}
}

// add requires mu.
func (b *breaker) add(asker askerID) {
	if b.failed == nil {
		b.failed = make(map[askerID]struct{})
	}
	b.failed[asker] = struct{}{}
}

func (b *breaker) open() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.until.IsZero()
}
