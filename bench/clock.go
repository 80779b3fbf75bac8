package bench

import "time"

// instant is a time by the clock of the coordinator's machine: nanoseconds
// since 1970. Zero is none.
type instant int64

func (i instant) since(earlier instant) time.Duration { return time.Duration(i - earlier) }
func (i instant) after(d time.Duration) instant       { return i + instant(d) }

// clock reads instants. It follows the monotonic clock, so that no correction
// of the wall clock comes into a latency.
type clock struct {
	start time.Time
	base  instant // what the coordinator's clock said at start
}

func newClock() clock {
	now := time.Now()
	return clock{now, instant(now.UnixNano())}
}

func (c clock) now() instant { return c.base.after(time.Since(c.start)) }

// set moves the clock on by offset.
func (c *clock) set(offset time.Duration) { c.base = c.base.after(offset) }

// offsetExchanges is how often the other machine's clock is asked for.
const offsetExchanges = 8

// offset finds out how far the coordinator's clock is ahead of c. ask returns
// what it says. The fastest exchange counts, and the answer is taken to be from
// its middle: the error is at most half of what the exchange took. An offset
// within the error is none: that is this machine's own clock.
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
