package loadtest

import (
	"sync/atomic"
	"time"
)

// clock counts from the start of a run. Publisher and subscribers share it, so
// that a latency is a difference of two readings of one monotonic clock.
type clock struct{ start time.Time }

func newClock() clock { return clock{time.Now()} }

func (c clock) now() instant { return instant(time.Since(c.start)) }

// instant is a reading of a clock, in nanoseconds.
type instant int64

func (i instant) seconds() float64 { return time.Duration(i).Seconds() }

// atomicInstant is an instant that one goroutine sets and others read.
type atomicInstant struct{ n atomic.Int64 }

func (a *atomicInstant) Load() instant   { return instant(a.n.Load()) }
func (a *atomicInstant) Store(i instant) { a.n.Store(int64(i)) }
