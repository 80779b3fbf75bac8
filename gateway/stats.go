package gateway

import (
	"errors"
	"net/http"
	"sync/atomic"

	"comet/gateway/conn"
	"comet/pubsub/measure"
)

// Stats is what a Gateway counts, since the start.
type Stats struct {
	Refused          int64 // streams and polls that Limits.Connections kept out
	PublishesRefused int64 // messages that were refused before the hub saw them

	Connects    [conn.Transports]int64                      // streams and polls that began
	Disconnects [conn.Transports]map[conn.CloseReason]int64 // those that ended, by the reason; each map has all
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
	disconnects      [conn.Transports]*measure.Counts[conn.CloseReason]
	overAny          [conn.Transports]func(conn.CloseReason) // see counted
}

// startCounts makes what of g.counts has no zero value.
func (g *Gateway) startCounts() {
	for t := range g.counts.disconnects {
		ended := measure.NewCounts(conn.CloseReasons...)
		g.counts.disconnects[t] = ended
		g.counts.overAny[t] = func(why conn.CloseReason) {
			g.connections.Add(-1)
			if why != conn.FellBack {
				ended.Add(why, 1)
			}
		}
	}
}

// began notes that a stream or poll of v begins.
func (g *Gateway) began(r *http.Request, v *visit, t conn.Transport) {
	g.counts.connects[t].Add(1)
	defer g.recoverFrom("began")
	if g.tells(t) {
		g.options.Events.Connected(v.User, t.String())
	}
	g.logBegan(r, v, t)
}

// over is what to call when a stream or poll of v that was admitted is over.
func (g *Gateway) over(r *http.Request, v *visit, t conn.Transport) func(conn.CloseReason) {
	over := g.counted(v, t)
	if g.tells(t) {
		over = g.told(v, t, over)
	}
	return g.logged(r, v, t, over)
}

// counted is release with a count, for what ends later. Thousands of streams
// keep it, so where the client does not matter it is the same for all. Of the
// policy it keeps only what counted the client.
func (g *Gateway) counted(v *visit, t conn.Transport) func(conn.CloseReason) {
	clients, client, over := v.policy.Limiter.Connections, v.client, g.counts.overAny[t]
	if !clients.Counts() {
		return over
	}
	return func(why conn.CloseReason) {
		clients.Disconnect(client)
		over(why)
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
