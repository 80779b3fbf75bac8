package gateway

import (
	"net/http"
	"runtime/debug"

	"comet/gateway/conn"
	"comet/gateway/trace"
	"comet/pubsub"
)

// Door lets in streams and polls the short way, after the same checks as any
// other: those that begin in the tails of open channels, so that nothing has
// to be waited for. The endpoints are the long way, and tell who is refused.
func (g *Gateway) Door() conn.FastPath {
	return conn.FastPath{
		Header: http.Header{nodeHeader: {g.options.Node}},
		Node:   g.options.Node,
		Stream: g.streamAtOnce,
		Poll:   g.pollAtOnce,
	}
}

func (g *Gateway) streamAtOnce(r *http.Request) (next conn.FastResult, ok bool) {
	defer g.recoverAtDoor(r, &ok)
	if r.URL.Path != eventsPath {
		return next, false
	}
	p, err := parametersOf(r)
	if err != nil {
		return next, false
	}
	next.Format = formatOf(r, p)
	return next, g.enterAtOnce(r, p, g.policy.Load(), &next, conn.TransportOf(next.Format))
}

func (g *Gateway) pollAtOnce(r *http.Request) (next conn.FastResult, ok bool) {
	defer g.recoverAtDoor(r, &ok)
	if r.URL.Path != pollPath {
		return next, false
	}
	p, err := parametersOf(r)
	if err != nil {
		return next, false
	}
	by := g.policy.Load()
	next.Wait = p.wait("wait", defaultWait, by.Limits.wait())
	if next.Wait == 0 {
		return next, false
	}
	return next, g.enterAtOnce(r, p, by, &next, conn.OverPoll)
}

// enterAtOnce attaches what r asks for, all of it or, also if it panics, nothing.
func (g *Gateway) enterAtOnce(r *http.Request, p *parameters, by *policy, next *conn.FastResult, t conn.Transport) (ok bool) {
	v, ok := g.letInAtOnce(r, by)
	if !ok {
		return false
	}
	asked, err := askedBy(r, p, v)
	if err != nil || g.admit(v) != nil {
		return false
	}
	ok = false
	defer func() {
		if !ok {
			next.Release()
			g.release(v)
		}
	}()
	if !g.askAtOnce(v, asked.channels) || !g.attach(asked, next) {
		return false
	}
	if t == conn.OverPoll { // its place cannot move
		if by.Limiter.Request(v.client) != nil {
			return false
		}
	} else {
		next.Admit = func() bool { return by.Limiter.Request(v.client) == nil }
	}
	next.Session, next.Trusted = v.session(), v.client.Trusted
	next.Header = g.headerAtOnce(r, by)
	next.Began = func() {
		g.began(r, v, t)
		g.options.Hub.Attached(asked.starts())
	}
	next.Ended = g.present(v, asked.channels, g.over(r, v, t))
	return true
}

// headerAtOnce is the answer's header, where it is not that of most: nil.
func (g *Gateway) headerAtOnce(r *http.Request, by *policy) http.Header {
	named := r.Header[trace.RequestIDField] != nil
	if by.corsHeader == nil && !named {
		return nil
	}
	h := http.Header{}
	if by.corsHeader != nil {
		h = by.corsHeader(r)
	}
	if id := trace.Of(r.Header).ID; named && id != "" {
		h[trace.RequestIDField] = []string{id}
	}
	h[nodeHeader] = []string{g.options.Node}
	return h
}

// attach opens the channels at their starts, if nothing has to be waited for. A
// stream of one channel must be at its end, as it will be parked in a feed, which
// has only what comes.
func (g *Gateway) attach(asked *asked, next *conn.FastResult) bool {
	at := make([]pubsub.Cursor, len(asked.channels))
	for i, start := range asked.starts() {
		c, place, cursor, ok := g.options.Hub.Attach(start)
		if !ok {
			return false
		}
		at[i] = cursor
		next.Channels, next.Positions = append(next.Channels, c), append(next.Positions, place)
	}
	if next.Wait == 0 && len(at) == 1 {
		if behind, ok := next.Channels[0].From(next.Positions[0], 1); !ok || len(behind) > 0 {
			return false
		}
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

// recoverFrom, deferred, keeps a panic in what is done beside a stream or poll
// (events, presence, logs) from its writer, which has thousands of others.
func (g *Gateway) recoverFrom(what string) {
	if p := recover(); p != nil {
		g.options.Logger.Error("panic beside a stream or poll", "at", what, "panic", p, "stack", string(debug.Stack()))
	}
}
