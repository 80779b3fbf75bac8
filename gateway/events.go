package gateway

import (
	"net/http"

	"comet/gateway/conn"
)

// events: GET /v1/events
func (g *Gateway) events(w http.ResponseWriter, r *http.Request) error {
	p, err := parametersOf(r)
	if err != nil {
		return err
	}
	format := formatOf(r, p)
	s, err := g.subscribe(r, p)
	if err != nil {
		return err
	}
	defer g.end(s)
	t := conn.TransportOf(format)
	g.began(r, s.visit, t)
	stream := &conn.Stream{
		Subscriber: s.subscriber,
		Cursors:    s.cursors,
		Several:    s.several,
		Format:     format,
		Node:       g.options.Node,
		Session:    s.session,
		Replay:     s.replay,
		Ended:      g.present(s.visit, s.channels, g.over(r, s.visit, t)),
	}
	s.held = true
	g.options.Holder.Hold(w, s.request, stream)
	return nil
}
