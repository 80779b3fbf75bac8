package bench

import (
	"cmp"
	"slices"
	"time"
)

// churn is who disconnects when, while messages are published. It is chosen
// for a second at a time.
type churn struct {
	second  int
	leavers []alarm // of this second, who is left, in order
}

// next is when somebody disconnects.
func (c *churn) next() (at instant, ok bool) {
	if len(c.leavers) == 0 {
		return 0, false
	}
	return c.leavers[0].at, true
}

// runChurn disconnects who is to be by now, and has them resume at once.
func (s *eventLoop) runChurn(now instant) {
	if s.share.Plan.Churn == 0 || s.began == 0 || s.finished {
		return
	}
	for s.began.after(time.Duration(s.churn.second)*time.Second) <= now {
		s.leave(now, now) // who is left of the second before
		s.chooseLeavers()
	}
	s.leave(now, now)
}

// chooseLeavers makes the seed's choice for the next second.
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

// leave disconnects who is to leave by then and is in.
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
