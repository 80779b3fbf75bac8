package conn

import "time"

// Write coalescing: a write costs nearly the same for one message as for several.
// After a long flush pass a writer therefore defers the next pass of that feed, and
// messages that come meanwhile are sent in one write each. Passes then take at most
// about a quarter of the time, unless messages would be late by more than maxDefer.
// (5,000 streams, 40 messages per second: docs/benchmarks.md.)
const (
	longPass   = time.Millisecond // a shorter pass defers nothing
	deferShare = 3                // a pass is deferred for deferShare times the length of the one before it
	maxDefer   = 75 * time.Millisecond
	// flushNowBytes ends a deferral: far less than a feed keeps for slow streams.
	flushNowBytes = feedBytes / 8
)

// flushOrDefer flushes a shard that has grown, now or when its deferral ends.
func (f *flusher) flushOrDefer(s *shard) {
	switch wait := s.deferUntil - f.clock.elapsed(); {
	case wait <= 0 || s.unflushed() > flushNowBytes:
		f.flushTimed(s)
	case !s.deferred:
		s.deferred = true
		if f.deferred = append(f.deferred, s); len(f.deferred) == 1 {
			f.timer.Reset(wait)
		}
	}
}

// flushTimed flushes a shard, and defers its next pass if this one was long.
func (f *flusher) flushTimed(s *shard) {
	start := f.clock.elapsed()
	f.flush(s)
	now := f.clock.elapsed()
	s.deferUntil = now + min(s.deferAfter(now-start), f.maxDefer)
}

// deferAfter is how long to defer the next pass after one that took so long.
// Connections with an encoder of their own are not written together, and polls do
// not wait.
func (s *shard) deferAfter(took time.Duration) time.Duration {
	if took < longPass || s.feed.key.unshared {
		return 0
	}
	return min(deferShare*took, maxDefer)
}

// flushDeferred flushes the shards with deferrals that have ended.
func (f *flusher) flushDeferred() {
	now := f.clock.elapsed()
	next := maxDefer
	all := f.deferred
	f.deferred = f.deferred[:0]
	for _, s := range all {
		if wait := s.deferUntil - now; wait > 0 {
			f.deferred = append(f.deferred, s)
			next = min(next, wait)
			continue
		}
		s.deferred = false
		f.flushTimed(s)
	}
	clear(all[len(f.deferred):])
	if len(f.deferred) > 0 {
		f.timer.Reset(next)
	}
}

// endDeferrals flushes what is deferred, before a drain. In a flush pass it leaves
// that to the next flushDeferred.
func (f *flusher) endDeferrals() {
	for _, s := range f.deferred {
		s.deferUntil = 0
	}
	if !f.flushing {
		f.flushDeferred()
	}
}
