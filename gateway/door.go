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
		Ended:  g.release,
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
	next.Format, next.Session = formatOf(r, p), g.session()
	return next, g.enterAtOnce(r, p, &next)
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
	return next, next.Wait > 0 && g.enterAtOnce(r, p, &next)
}

// enterAtOnce attaches what r asks for, all of it or nothing.
func (g *Gateway) enterAtOnce(r *http.Request, p *parameters, next *conn.Next) bool {
	channels, starts, err := g.startsOf(r, p)
	if err != nil || g.admit() != nil {
		return false
	}
	at := make([]pubsub.Cursor, len(starts))
	for i, start := range starts {
		c, place, cursor, ok := g.options.Hub.Attach(start)
		if !ok {
			next.Release()
			g.release()
			return false
		}
		at[i] = cursor
		next.Channels, next.Places = append(next.Channels, c), append(next.Places, place)
	}
	next.Cursors = pubsub.NewCursorSet(channels, at)
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
