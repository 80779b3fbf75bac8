package conn

import (
	"math"
	"time"
)

// schedule is a writer's time, counted in ticks since it was made, and the ticks
// at which connections are due: polls that wait, streams with a session that ends,
// and streams with a full socket.
type schedule struct {
	tick    time.Duration
	elapsed func() time.Duration // since the writer was made
	now     uint32               // the current tick
	due     map[uint32][]*parked // by tick
}

// maxAhead is how far ahead a stream is scheduled. If its session ends later, it is
// scheduled again then, which keeps the schedule small and follows the wall clock.
const maxAhead = time.Minute

// after is the first tick that begins no sooner than d from now.
func (s *schedule) after(d time.Duration) uint32 {
	return max(s.now+1, s.ticks(s.elapsed()+max(0, d)+s.tick-1))
}

// ticks is the number of whole ticks in d.
func (s *schedule) ticks(d time.Duration) uint32 { return uint32(d / s.tick) }

// silence is how long nothing has been written to p.
func (s *schedule) silence(p *parked) time.Duration {
	return time.Duration(s.now-p.writtenTick) * s.tick
}

// add schedules p for when it is next due, if it ever is.
func (s *schedule) add(p *parked) {
	if wait := s.wait(p); wait < math.MaxInt64 {
		s.addAt(p, s.after(wait))
	}
}

// wait is how long p needs nothing but heartbeats.
func (s *schedule) wait(p *parked) time.Duration {
	if p.poll != nil {
		return p.waitLeft()
	}
	wait := time.Duration(math.MaxInt64)
	if p.blocked {
		wait = writeTimeout - s.silence(p)
	}
	if p.until != 0 {
		wait = min(wait, time.Until(time.UnixMilli(p.until)), maxAhead)
	}
	return wait
}

func (s *schedule) addAt(p *parked, tick uint32) {
	s.remove(p)
	list := s.due[tick]
	p.dueTick, p.dueIndex = tick, int32(len(list))
	s.due[tick] = append(list, p)
}

// addBlocked schedules p, if it is a stream, for the end of its write timeout.
func (s *schedule) addBlocked(p *parked) {
	if p.poll == nil && (p.dueTick == 0 || p.dueTick > s.now+s.ticks(writeTimeout)+1) {
		s.add(p)
	}
}

// remove takes p out of the schedule, if it is there.
func (s *schedule) remove(p *parked) {
	if p.dueTick == 0 {
		return
	}
	list := s.due[p.dueTick]
	last := len(list) - 1
	list[p.dueIndex] = list[last]
	list[p.dueIndex].dueIndex = p.dueIndex
	list[last] = nil
	s.due[p.dueTick] = list[:last]
	p.dueTick = 0
}

// next removes a connection that is due at the current tick and returns it, or
// nil.
func (s *schedule) next() *parked {
	list := s.due[s.now]
	if len(list) == 0 {
		delete(s.due, s.now)
		return nil
	}
	p := list[0]
	s.remove(p)
	return p
}
