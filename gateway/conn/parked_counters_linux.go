package conn

import (
	"slices"
	"sync/atomic"
	"time"

	"comet/pubsub"
)

// feedView is what a feed lends a writer for a walk.
type feedView struct {
	data        []byte
	base        uint64   // the offset of data[0]
	flushed     uint64   // up to here the writer has written
	messageEnds []uint64 // the offsets behind the messages in data
	// What of data nobody has yet, where Portable.Written wants to know.
	traced []*pubsub.Message

	messages int // messages, to all streams together; counted at the end, as a walk may be long

	// The last answer of messages. In a walk nearly all ask the same.
	from, to uint64
	between  int
}

func (l *feedView) end() uint64 { return l.base + uint64(len(l.data)) }

// countBetween is how many messages end behind from, and not behind to.
func (l *feedView) countBetween(from, to uint64) int {
	if from != l.from || to != l.to {
		first, _ := slices.BinarySearch(l.messageEnds, from+1)
		last, _ := slices.BinarySearch(l.messageEnds, to+1)
		l.from, l.to, l.between = from, to, last-first
	}
	return l.between
}

// sampleStartOf is when the first of items began whose time is taken; nil: none's is.
func sampleStartOf(items []pubsub.Item) *time.Time {
	for i := range items {
		if m := items[i].Message; m != nil && m.Began() != nil {
			return m.Began()
		}
	}
	return nil
}

// takeSampleStart is when something of what there is to be written began whose time
// is taken; nil: nothing of it has one. What comes later is of the next walk.
func (s *shard) takeSampleStart() *time.Time {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	began := s.sampleStart
	s.sampleStart = nil
	return began
}

// gauges is how many of each kind a writer has parked.
type gauges struct {
	parked    [Transports]atomic.Int64
	idlePolls atomic.Int64
}

// add counts p, which is parked (1) or no more (-1), as what it is now.
func (n *gauges) add(p *parked, change int64) {
	if p.poll != nil && !p.poll.waiting {
		n.idlePolls.Add(change)
		return
	}
	n.parked[p.transport()].Add(change)
}

func (p *parked) transport() Transport {
	if p.poll != nil {
		return OverPoll
	}
	return TransportOf(p.format)
}

// Stats may be called at any time.
func (p *Parker) Stats() Stats {
	s := p.counters.stats()
	for _, w := range p.writers {
		for t := range s.Parked {
			s.Parked[t] += w.registry.gauges.parked[t].Load()
		}
		s.IdlePolls += w.registry.gauges.idlePolls.Load()
	}
	return s
}
