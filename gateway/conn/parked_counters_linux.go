package conn

import (
	"slices"
	"sync/atomic"
	"time"

	"comet/pubsub"
)

// lent is what a feed lends a writer for a walk.
type lent struct {
	data []byte
	base uint64   // the offset of data[0]
	done uint64   // up to here the writer has written
	ends []uint64 // the offsets behind the messages in data
	// What of data nobody has yet, where Portable.Written wants to know.
	traced []*pubsub.Message

	written int // messages, to all streams together; counted at the end, as a walk may be long

	// The last answer of messages. In a walk nearly all ask the same.
	from, to uint64
	between  int
}

func (l *lent) end() uint64 { return l.base + uint64(len(l.data)) }

// messages is how many messages end behind from, and not behind to.
func (l *lent) messages(from, to uint64) int {
	if from != l.from || to != l.to {
		first, _ := slices.BinarySearch(l.ends, from+1)
		last, _ := slices.BinarySearch(l.ends, to+1)
		l.from, l.to, l.between = from, to, last-first
	}
	return l.between
}

// beganOf is when the first of items began whose time is taken; nil: none's is.
func beganOf(items []pubsub.Item) *time.Time {
	for i := range items {
		if m := items[i].Message; m != nil && m.Began() != nil {
			return m.Began()
		}
	}
	return nil
}

// countMessages counts those that were written from l.
func (w *writer) countMessages(s *shard, l *lent) {
	if l.written > 0 {
		w.tally.wroteMessages(TransportOf(s.feed.key.format), l.written)
	}
}

// takeBegan is when something of what there is to be written began whose time
// is taken; nil: nothing of it has one. What comes later is of the next walk.
func (s *shard) takeBegan() *time.Time {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	began := s.began
	s.began = nil
	return began
}

// flushed counts what the writer has just written to all who are not blocked,
// and takes the time of it, if something of it has one.
func (w *writer) flushed(s *shard, l *lent, began *time.Time) {
	w.countMessages(s, l)
	if began != nil {
		w.tally.ledger.written.Observe(time.Since(*began))
	}
}

// population is how many of each kind a writer has parked.
type population struct {
	of      [Transports]atomic.Int64
	resting atomic.Int64
}

// count counts p, which is parked (1) or no more (-1), as what it is now.
func (n *population) count(p *parked, change int64) {
	if p.poll != nil && !p.poll.waiting {
		n.resting.Add(change)
		return
	}
	n.of[p.transport()].Add(change)
}

func (p *parked) transport() Transport {
	if p.poll != nil {
		return OverPoll
	}
	return TransportOf(p.format)
}

// Stats may be called at any time.
func (p *Parker) Stats() Stats {
	s := p.ledger.stats()
	for _, w := range p.writers {
		for t := range s.Parked {
			s.Parked[t] += w.population.of[t].Load()
		}
		s.IdlePolls += w.population.resting.Load()
	}
	return s
}
