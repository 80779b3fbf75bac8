package gateway

import (
	"net/http"

	"comet/gateway/conn"
)

// events: GET /v1/events
func (g *Gateway) events(w http.ResponseWriter, r *http.Request) error {
	a, s, err := g.admit(r, contextOf(r), parseEvents)
	if err != nil {
		return err
	}
	defer a.Close()
	a.Begin()
	g.options.Holder.Hold(w, a.Request, &conn.Stream{
		Subscriber: a.Subscriber,
		Cursors:    a.Cursors,
		Several:    len(a.Channels) > 1,
		Format:     s.format,
		Node:       g.options.Node,
		Session:    a.Bounds(),
		Replay:     a.Replay,
		Ended:      a.Session.EndFunc(),
	})
	return nil
}
