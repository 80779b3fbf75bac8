package metrics

import (
	"sync/atomic"
	"time"
)

// LatencyBounds are the upper bounds of a Latency's buckets, inclusive.
var LatencyBounds = [...]time.Duration{
	1 * time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond,
	10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	1 * time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second,
}

// Latency is a histogram of times. The zero value is an empty one; it may be
// used concurrently.
type Latency struct {
	counts [len(LatencyBounds) + 1]atomic.Int64
	sum    atomic.Int64 // ns
}

// Observe adds a time.
func (l *Latency) Observe(d time.Duration) {
	i := 0
	for i < len(LatencyBounds) && d > LatencyBounds[i] {
		i++
	}
	l.counts[i].Add(1)
	l.sum.Add(int64(d))
}

// LatencyStats is a Latency at one moment.
type LatencyStats struct {
	// Counts are the times in each bucket alone: over the bound before its own,
	// and up to that. The last has those over all bounds.
	Counts [len(LatencyBounds) + 1]int64
	Sum    time.Duration
}

// Stats may be called at any time. A time observed meanwhile may be in Counts
// and not yet in Sum.
func (l *Latency) Stats() LatencyStats {
	s := LatencyStats{Sum: time.Duration(l.sum.Load())}
	for i := range l.counts {
		s.Counts[i] = l.counts[i].Load()
	}
	return s
}
