package conn

import "time"

// A write costs nearly the same for one message as for several, so after a long
// walk through a feed's streams a writer leaves the feed alone for a while, and
// what comes meanwhile goes out in one write each. A walk then takes at most
// about a quarter of the time, unless messages would be late by more than
// maxRest. (5,000 streams, 40 messages a second: docs/benchmarks.md.)
const (
	longWalk  = time.Millisecond // of a shorter one there is nothing to save
	restShare = 3                // a rest is that many times as long as the walk before it
	maxRest   = 75 * time.Millisecond
	// hurryBytes ends a rest: far less than a feed keeps for who is behind.
	hurryBytes = feedBytes / 8
)

// serve flushes a shard that has grown, or leaves it until it has rested.
func (w *writer) serve(s *shard) {
	switch rest := s.rested - w.clock(); {
	case rest <= 0 || s.waiting() > hurryBytes:
		w.flushAndRest(s)
	case !s.resting:
		s.resting = true
		if w.resting = append(w.resting, s); len(w.resting) == 1 {
			w.wake.Reset(rest)
		}
	}
}

func (w *writer) flushAndRest(s *shard) {
	began := w.clock()
	w.flush(s)
	now := w.clock()
	s.rested = now + min(s.restAfter(now-began), w.maxRest)
}

// restAfter is how long to rest after a walk that took so long. What encodes
// for itself is not written together, and polls are not to wait.
func (s *shard) restAfter(took time.Duration) time.Duration {
	if took < longWalk || s.feed.key.own {
		return 0
	}
	return min(restShare*took, maxRest)
}

// serveRested flushes the shards that have rested.
func (w *writer) serveRested() {
	now := w.clock()
	next := maxRest
	all := w.resting
	w.resting = w.resting[:0]
	for _, s := range all {
		if rest := s.rested - now; rest > 0 {
			w.resting = append(w.resting, s)
			next = min(next, rest)
			continue
		}
		s.resting = false
		w.flushAndRest(s)
	}
	clear(all[len(w.resting):])
	if len(w.resting) > 0 {
		w.wake.Reset(next)
	}
}

// endRests flushes what rests, before a goodbye.
func (w *writer) endRests() {
	for _, s := range w.resting {
		s.rested = 0
	}
	w.serveRested()
}
