package conn

import "sync/atomic"

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
