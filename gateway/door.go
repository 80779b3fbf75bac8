package gateway

import (
	"net/http"
	"runtime/debug"

	"comet/gateway/conn"
	"comet/pubsub"
)

// Door lets in streams and polls the short way, after the same checks as any
// other: those that begin in the tails of open channels, so that nothing has
// to be waited for. The endpoints are the long way, and tell who is refused.
func (g *Gateway) Door() conn.Door {
	return conn.Door{
		Header: http.Header{nodeHeader: {g.options.Node}},
		Node:   g.options.Node,
		Stream: g.streamAtOnce,
		Poll:   g.pollAtOnce,
	}
}

func (g *Gateway) streamAtOnce(r *http.Request) (next conn.Next, ok bool) {
	defer g.recoverAtDoor(r, &ok)
	if r.URL.Path != eventsPath {
		return next, false
	}
	p, err := parametersOf(r)
	if err != nil {
		return next, false
	}
	next.Format = formatOf(r, p)
	a, ok := g.enterAtOnce(r, p, &next)
	if ok {
		transport := conn.TransportOf(next.Format)
		next.Began = func() {
			g.streamBegan(a.visit, transport)
			g.options.Hub.Attached(a.starts())
		}
		next.Ended = g.present(a.visit, a.channels, g.streamOver(a.visit, transport))
	}
	return next, ok
}

func (g *Gateway) pollAtOnce(r *http.Request) (next conn.Next, ok bool) {
	defer g.recoverAtDoor(r, &ok)
	if r.URL.Path != pollPath {
		return next, false
	}
	p, err := parametersOf(r)
	if err != nil {
		return next, false
	}
	next.Wait = p.wait("wait", defaultWait, g.options.Limits.Wait)
	if next.Wait == 0 {
		return next, false
	}
	a, ok := g.enterAtOnce(r, p, &next)
	if ok {
		next.Began = func() {
			g.counts.connects[conn.OverPoll].Add(1)
			g.options.Hub.Attached(a.starts())
		}
		next.Ended = g.present(a.visit, a.channels, g.over(conn.OverPoll, a.client))
	}
	return next, ok
}

// arrival is a visit that was let in at the door.
type arrival struct {
	*visit
	*asked
}

// enterAtOnce attaches what r asks for, all of it or nothing.
func (g *Gateway) enterAtOnce(r *http.Request, p *parameters, next *conn.Next) (a arrival, ok bool) {
	visitor, ok := g.letInAtOnce(r)
	if !ok {
		return a, false
	}
	v := &visitor
	asked, err := g.askedBy(r, p, v)
	if err != nil || g.admit(v.client) != nil {
		return a, false
	}
	if !g.askAtOnce(v, asked.channels) || !g.attach(asked, next) || g.options.Limiter.Request(v.client) != nil {
		next.Release()
		g.release(v.client)
		return a, false
	}
	next.Session = g.session(v)
	if g.corsHeader != nil {
		next.Header = g.corsHeader(r)
		next.Header[nodeHeader] = []string{g.options.Node}
	}
	return arrival{v, asked}, true
}

// attach opens the channels at their starts, if nothing has to be waited for.
func (g *Gateway) attach(asked *asked, next *conn.Next) bool {
	at := make([]pubsub.Cursor, len(asked.channels))
	for i, start := range asked.starts() {
		c, place, cursor, ok := g.options.Hub.Attach(start)
		if !ok {
			return false
		}
		at[i] = cursor
		next.Channels, next.Places = append(next.Channels, c), append(next.Places, place)
	}
	next.Cursors = asked.cursors(at)
	return true
}

// recoverAtDoor sends a request that made the node panic the long way, where a
// panic harms nothing but its connection.
func (g *Gateway) recoverAtDoor(r *http.Request, ok *bool) {
	if p := recover(); p != nil {
		*ok = false
		g.options.Logger.ErrorContext(r.Context(), "panic at the door", "panic", p, "stack", string(debug.Stack()))
	}
}
