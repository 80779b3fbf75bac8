package gateway

import (
	"errors"
	"sync/atomic"

	"comet/gateway/conn"
	"comet/gateway/limit"
	"comet/pubsub/measure"
)

// Stats is what a Gateway counts, since the start.
type Stats struct {
	Refused          int64 // streams and polls that Limits.Connections kept out
	PublishesRefused int64 // messages that were refused before the hub saw them

	Connects    [conn.Transports]int64              // streams and polls that began
	Disconnects [conn.Transports]map[conn.Bye]int64 // those that ended, by the reason; each map has all
}

// Held is how many streams and polls there are.
func (s *Stats) Held(t conn.Transport) int64 {
	n := s.Connects[t]
	for _, ended := range s.Disconnects[t] {
		n -= ended
	}
	return n
}

// Stats may be called at any time.
func (g *Gateway) Stats() Stats {
	s := Stats{Refused: g.counts.refused.Load(), PublishesRefused: g.counts.publishesRefused.Load()}
	for t := range s.Connects {
		s.Disconnects[t] = g.counts.disconnects[t].Stats() // first, so that none ended that did not begin
		s.Connects[t] = g.counts.connects[t].Load()
	}
	return s
}

// counts is what a Gateway counts.
type counts struct {
	refused          atomic.Int64
	publishesRefused atomic.Int64
	connects         [conn.Transports]atomic.Int64
	disconnects      [conn.Transports]*measure.Counts[conn.Bye]
	overAny          [conn.Transports]func(conn.Bye) // see over
}

// startCounts makes what of g.counts has no zero value.
func (g *Gateway) startCounts() {
	for t := range g.counts.disconnects {
		ended := measure.NewCounts(conn.Byes...)
		g.counts.disconnects[t] = ended
		g.counts.overAny[t] = func(why conn.Bye) {
			g.connections.Add(-1)
			if why != conn.Elsewhere {
				ended.Add(why, 1)
			}
		}
	}
}

// over is what to call when a stream or poll of c that was admitted is over.
// Thousands of streams keep it, so where the client does not matter it is the
// same for all.
func (g *Gateway) over(t conn.Transport, c limit.Client) func(conn.Bye) {
	if !g.options.Limiter.Counts() {
		return g.counts.overAny[t]
	}
	return func(why conn.Bye) {
		g.options.Limiter.Disconnect(c)
		g.counts.overAny[t](why)
	}
}

// countRefusal counts what admit refused where the client is told. Who is
// refused at the door asks again on the long way, and must count once.
func (g *Gateway) countRefusal(err error) {
	var p *Problem
	if errors.As(err, &p) {
		g.counts.refused.Add(1)
	}
}
