package hook

import (
	"sync"
	"time"
)

// askerID is on whose behalf a question is asked. A key speaks for many, so each
// of its questions counts as an asker of its own, by its number n.
type askerID struct {
	identity
	n uint64
}

// breaker is a circuit breaker. It opens after the questions of several askers
// failed in a row: one asker whose questions all fail must not stop the others.
// After a pause some askers probe. A success closes the breaker, and failures of
// as many askers begin another pause.
//
// sony/gobreaker does not fit: it counts failures whoever caused them, one failed
// probe opens it again, and it does not report for how long it is open.
type breaker struct {
	limit int           // askers whose questions fail in a row
	pause time.Duration // from the last of the failures

	mu     sync.Mutex
	keys   uint64               // questions of keys so far
	era    int64                // grows at every change: results from before say nothing
	failed map[askerID]struct{} // closed: in a row; open: that probe in this round
	probes int                  // of this round, under way
	until  time.Time            // of the pause; zero: closed
	round  time.Time            // when this round of probes began; zero: none
}

// ticket is one question's pass through the breaker.
type ticket struct {
	asker askerID
	era   int64
}

// allow asks to ask. If ok, succeeded, hasFailed or discarded must be called with the
// ticket; else wait is how long no question of this asker will be let through.
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

// succeeded reports whether it closed the breaker.
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

// hasFailed reports whether it opened the breaker.
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

// discarded is for a question that ended without a result.
func (b *breaker) discarded(t ticket) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t.era == b.era && !b.until.IsZero() {
		delete(b.failed, t.asker)
		b.probes--
	}
}

// change begins another era; it needs mu.
func (b *breaker) change() {
	b.era++
	clear(b.failed)
	b.probes, b.round = 0, time.Time{}
}

// add needs mu.
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
