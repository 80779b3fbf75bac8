package gateway

import (
	"net/http"
	"runtime/debug"

	"comet/gateway/admit"
	"comet/gateway/conn"
	"comet/gateway/trace"
)

// FastPath admits streams and polls without net/http, by the same checks. It
// admits only those that begin in the tails of open channels, so that nothing
// waits. All others go through net/http, which also reports refusals.
func (g *Gateway) FastPath() conn.FastPath {
	return conn.FastPath{
		Header: http.Header{nodeHeader: {g.options.Node}},
		Node:   g.options.Node,
		Stream: g.fastStream,
		Poll:   g.fastPoll,
	}
}

func (g *Gateway) fastStream(r *http.Request) (next conn.FastResult, ok bool) {
	return g.acceptFast(r, eventsPath, parseEvents)
}

func (g *Gateway) fastPoll(r *http.Request) (next conn.FastResult, ok bool) {
	return g.acceptFast(r, pollPath, parsePoll)
}

// acceptFast admits a request to path without waiting. If ok is false, nothing was
// charged or counted, and the request goes through net/http: it would wait, it is
// refused, or it made the node panic, which harms only its connection there.
func (g *Gateway) acceptFast(r *http.Request, path string, parse parseFunc) (next conn.FastResult, ok bool) {
	defer func() {
		if p := recover(); p != nil {
			if next.Ended != nil {
				next.Release()
				next.Ended(conn.FellBack)
			}
			next, ok = conn.FastResult{}, false
			g.options.Logger.ErrorContext(r.Context(), "panic on the fast path", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	by := g.policy.Load()
	if r.URL.Path != path || by.rebound(r) {
		return next, false
	}
	rc := &requestContext{Caller: admit.Caller{Rules: by.rules, Fast: true}, policy: by}
	a, s, err := g.admit(r, rc, parse)
	if err != nil {
		return next, false
	}
	next = conn.FastResult{
		Starts: a.Starts, Channels: a.Open, Positions: a.Positions, Cursors: a.Cursors,
		Format: s.format, Wait: s.wait, Skip: s.skip,
		Session: a.Bounds(), Trusted: rc.Client.Trusted,
		Began: a.Begin, Ended: a.Session.EndFunc(),
	}
	if s.Transport != conn.OverPoll {
		next.Coding = g.coding(r, a, s)
		next.Admit = func() bool { return a.Charge() == nil }
	}
	if s.repeatable {
		if repeat := a.Repeat(); repeat != nil {
			next.Repeater = repeat
		}
	}
	next.Header = by.fastHeader(r, g.options.Node)
	return next, true
}

// fastHeader is the header of the answer to r; nil if it is that of most answers,
// FastPath.Header.
func (p *policy) fastHeader(r *http.Request, node string) http.Header {
	named := r.Header[trace.RequestIDField] != nil
	if p.corsHeader == nil && !named {
		return nil
	}
	h := http.Header{}
	if p.corsHeader != nil {
		h = p.corsHeader(r)
	}
	if id := trace.Of(r.Header).ID; named && id != "" {
		h[trace.RequestIDField] = []string{id}
	}
	h[nodeHeader] = []string{node}
	return h
}
