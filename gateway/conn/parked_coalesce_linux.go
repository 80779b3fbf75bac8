package conn

import "time"

// A write costs nearly the same for one message as for several, so after a long
// walk through a feed's streams a writer leaves the feed alone for a while, and
// what comes meanwhile goes out in one write each. A walk then takes at most
// about a quarter of the time, unless messages would be late by more than
// maxRest. (5,000 streams, 40 messages a second: docs/benchmarks.md.)
const (
	longPass   = time.Millisecond // of a shorter one there is nothing to save
	deferShare = 3                // a rest is that many times as long as the walk before it
	maxDefer   = 75 * time.Millisecond
	// flushNowBytes ends a rest: far less than a feed keeps for who is behind.
	flushNowBytes = feedBytes / 8
)

// flushOrDefer flushes a shard that has grown, or leaves it until it has rested.
func (w *writer) flushOrDefer(s *shard) {
	switch rest := s.deferUntil - w.since(); {
	case rest <= 0 || s.unflushed() > flushNowBytes:
		w.flushAndDefer(s)
	case !s.deferred:
		s.deferred = true
		if w.deferred = append(w.deferred, s); len(w.deferred) == 1 {
			w.deferTimer.Reset(rest)
		}
	}
}

func (w *writer) flushAndDefer(s *shard) {
	began := w.since()
	w.flush(s)
	now := w.since()
	s.deferUntil = now + min(s.deferAfter(now-began), w.maxDefer)
}

// deferAfter is how long to rest after a walk that took so long. What encodes
// for itself is not written together, and polls are not to wait.
func (s *shard) deferAfter(took time.Duration) time.Duration {
	if took < longPass || s.feed.key.unshared {
		return 0
	}
	return min(deferShare*took, maxDefer)
}

// flushDeferred flushes the shards that have rested.
func (w *writer) flushDeferred() {
	now := w.since()
	next := maxDefer
	all := w.deferred
	w.deferred = w.deferred[:0]
	for _, s := range all {
		if rest := s.deferUntil - now; rest > 0 {
			w.deferred = append(w.deferred, s)
			next = min(next, rest)
			continue
		}
		s.deferred = false
		w.flushAndDefer(s)
	}
	clear(all[len(w.deferred):])
	if len(w.deferred) > 0 {
		w.deferTimer.Reset(next)
	}
}

// flushAllDeferred flushes what rests, before a goodbye.
func (w *writer) flushAllDeferred() {
	for _, s := range w.deferred {
		s.deferUntil = 0
	}
	w.flushDeferred()
}
