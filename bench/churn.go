package bench

import (
	"cmp"
	"slices"
	"time"
)

// churn is the schedule of subscribers that disconnect while messages are
// published. It is chosen for one second at a time.
type churn struct {
	second  int
	leavers []alarm // those of this second still to disconnect, in order
}

// next returns the time of the next disconnect.
func (c *churn) next() (at instant, ok bool) {
	if len(c.leavers) == 0 {
		return 0, false
	}
	return c.leavers[0].at, true
}

// runChurn disconnects the subscribers that are due. They resume at once.
func (s *eventLoop) runChurn(now instant) {
	if s.share.Plan.Churn == 0 || s.began == 0 || s.finished {
		return
	}
	for s.began.after(time.Duration(s.churn.second)*time.Second) <= now {
		s.leave(now, now) // the rest of the second before
		s.chooseLeavers()
	}
	s.leave(now, now)
}

// chooseLeavers chooses, by the seed, the subscribers that disconnect in the next second.
func (s *eventLoop) chooseLeavers() {
	start := s.began.after(time.Duration(s.churn.second) * time.Second)
	s.churn.leavers = s.churn.leavers[:0]
	for i := range s.subscribers {
		chance := choice(s.share.Plan.Seed, aboutChurn, uint64(s.churn.second), s.global(int32(i)))
		if shareOf(chance) < s.share.Plan.Churn {
			part := shareOf(splitMix(chance))
			s.churn.leavers = append(s.churn.leavers, alarm{start.after(time.Duration(part * float64(time.Second))), int32(i)})
		}
	}
	slices.SortFunc(s.churn.leavers, func(a, b alarm) int { return cmp.Compare(a.at, b.at) })
	s.churn.second++
}

// leave disconnects the connected subscribers that are due by then.
func (s *eventLoop) leave(then, now instant) {
	for {
		at, ok := s.churn.next()
		if !ok || at > then {
			return
		}
		i := s.churn.leavers[0].index
		s.churn.leavers = s.churn.leavers[1:]
		if s.subscribers[i].in {
			s.reconnect(i, 0, now)
		}
	}
}
