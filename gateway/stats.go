package gateway

import "errors"

// Stats is what a Gateway counts.
type Stats struct {
	Held    int64 // streams and waiting polls of clients, at the moment
	Refused int64 // streams and polls that Limits.Connections kept out, since the start
}

// Stats may be called at any time.
func (g *Gateway) Stats() Stats { return Stats{Held: g.connections.Load(), Refused: g.refused.Load()} }

// countRefusal counts what admit refused where the client is told. Who is
// refused at the door asks again on the long way, and must count once.
func (g *Gateway) countRefusal(err error) {
	var p *Problem
	if errors.As(err, &p) {
		g.refused.Add(1)
	}
}
