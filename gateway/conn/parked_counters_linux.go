package conn

import (
	"slices"
	"sync/atomic"
	"time"

	"comet/pubsub"
)

// feedView is what a writer sees of a feed in a flush pass.
type feedView struct {
	data        []byte
	base        uint64            // the offset of data[0]
	flushed     uint64            // shard.flushed
	messageEnds []uint64          // the offsets after the messages in data
	traced      []*pubsub.Message // messages in data to report when a stream gets them

	messages int // written to all streams together, counted at the end of the pass

	// The last result of countBetween: in a pass nearly all streams ask the same.
	from, to uint64
	between  int
}

func (v *feedView) end() uint64 { return v.base + uint64(len(v.data)) }

// countBetween counts the messages that end after from, and not after to.
func (v *feedView) countBetween(from, to uint64) int {
	if from != v.from || to != v.to {
		first, _ := slices.BinarySearch(v.messageEnds, from+1)
		last, _ := slices.BinarySearch(v.messageEnds, to+1)
		v.from, v.to, v.between = from, to, last-first
	}
	return v.between
}

// sampleStartOf returns when the publish of the first sampled message began, nil if
// no message is sampled.
func sampleStartOf(items []pubsub.Item) *time.Time {
	for i := range items {
		if m := items[i].Message; m != nil && m.Began() != nil {
			return m.Began()
		}
	}
	return nil
}

// takeSampleStart returns and clears sampleStart. Messages that come later belong to
// the next pass.
func (s *shard) takeSampleStart() *time.Time {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	start := s.sampleStart
	s.sampleStart = nil
	return start
}

// gauges are a writer's numbers of parked connections, by kind.
type gauges struct {
	parked    [Transports]atomic.Int64
	idlePolls atomic.Int64
}

// add adds change to the gauge of p's current kind.
func (g *gauges) add(p *parked, change int64) {
	if p.poll != nil && !p.poll.waiting {
		g.idlePolls.Add(change)
		return
	}
	g.parked[p.transport()].Add(change)
}

// transport is how messages come to p's client.
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
