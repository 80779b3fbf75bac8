package bench

import "time"

// instant is a time by the clock of the coordinator's machine, in nanoseconds
// since 1970. Zero means no time.
type instant int64

func (i instant) since(earlier instant) time.Duration { return time.Duration(i - earlier) }
func (i instant) after(d time.Duration) instant       { return i + instant(d) }

// clock reads instants. It follows the monotonic clock, so that a correction of
// the wall clock does not change latencies.
type clock struct {
	start time.Time
	base  instant // the coordinator's clock at start
}

func newClock() clock {
	now := time.Now()
	return clock{now, instant(now.UnixNano())}
}

func (c clock) now() instant { return c.base.after(time.Since(c.start)) }

// set adds offset to the clock.
func (c *clock) set(offset time.Duration) { c.base = c.base.after(offset) }

// offsetExchanges is the number of times that the other machine's clock is read.
const offsetExchanges = 8

// offset measures how far the coordinator's clock is ahead of c. ask reads the
// coordinator's clock. offset uses the fastest exchange and assumes that the
// clock was read in its middle, so the error is at most half of its duration. An
// offset within the error counts as 0: both clocks are this machine's.
func (c clock) offset(ask func() (instant, error)) (offset time.Duration, err error) {
	var fastest time.Duration
	for i := range offsetExchanges {
		asked := c.now()
		theirs, err := ask()
		if err != nil {
			return 0, err
		}
		took := c.now().since(asked)
		if i > 0 && took >= fastest {
			continue
		}
		fastest = took
		offset = theirs.since(asked.after(took / 2))
	}
	if offset.Abs() <= fastest/2 {
		return 0, nil
	}
	return offset, nil
}
