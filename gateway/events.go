package gateway

import (
	"net/http"

	"comet/gateway/conn"
)

// getEvents: GET /v1/events
func getEvents(g *Gateway, w http.ResponseWriter, r *http.Request, rc *requestContext) error {
	a, s, err := g.admit(r, rc, parseEvents)
	if err != nil {
		return err
	}
	defer a.Close()
	a.Begin()
	g.options.Holder.Hold(w, a.Request, &conn.Stream{
		Subscriber: a.Subscriber,
		Cursors:    a.Cursors,
		Several:    len(a.Starts) > 1 || a.Starts[0].Filter != nil,
		Format:     s.format,
		Coding:     g.coding(r, a, s),
		Skip:       s.skip,
		Node:       g.options.Node,
		Session:    a.Bounds(),
		Replay:     a.Replay,
		Ended:      a.Session.EndFunc(),
	})
	return nil
}
