package bayeux

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"comet/gateway/admit"
	"comet/gateway/conn"
)

// maxFollow is the largest connect that is read without net/http, in bytes.
const maxFollow = 4 << 10

// next admits the connect that follows c on its connection, if nothing has changed: it is
// a conn.FastFunc. The client has the answer to c, as it came on the same connection. Its
// acknowledgement is stored with the next answer; until then another node that gets a
// connect finds c's, with the answer that was sent.
func (c *connect) next(r *http.Request) (result conn.FastResult, ok bool) {
	s := c.server
	if r.Method != http.MethodPost || r.URL.Path != c.r.URL.Path || r.ContentLength > maxFollow || c.request.callback != "" ||
		!strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") || r.Header.Get("Content-Encoding") != "" {
		return result, false
	}
	m, ok := c.following(r)
	r = c.bareRequest(r)
	if !ok || s.options.Fast == nil {
		return result, false
	}
	rules, header, ok := s.options.Fast(r)
	if !ok {
		return result, false
	}
	n := &connect{
		server: s, request: c.request, r: r, caller: &admit.Caller{Rules: rules, Fast: true}, clientID: c.clientID, id: m.id(), name: c.name,
		session: c.session, state: c.state.clone(), settled: c.state.batch, interrupt: &conn.Interrupt{},
		until: time.Now().Add(s.wait(m)), ack: ackOf(m),
	}
	n.state.settle(true)
	if !n.authenticate() {
		return result, false
	}
	a, err := n.admit()
	if err != nil {
		return result, false
	}
	if !s.replace(c, n) {
		a.Close()
		return result, false
	}
	p := n.poll(a, n.interrupt)
	return conn.FastResult{
		Channels: a.Open, Positions: a.Positions, Cursors: a.Cursors, Starts: a.Starts,
		Wait: max(time.Millisecond, time.Until(n.until)), Session: p.Session, Trusted: n.caller.Client.Trusted, Header: header,
		Began: a.Begin, Ended: p.Ended, Answerer: n, Interrupt: n.interrupt, NextPoll: n.next,
	}, true
}

// following returns the message of r, if that is one connect that waits, of the session of
// c, and acknowledges the answer to c.
func (c *connect) following(r *http.Request) (m message, ok bool) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, false
	}
	q := &request{}
	if c.server.parse(q, body) != nil || len(q.messages) != 1 {
		return nil, false
	}
	m = q.messages[0]
	id, _ := m.text("clientId")
	kind, _ := m.text("connectionType")
	if m.channel() != metaConnect || id != c.clientID || !validConnectionType(kind) || m.token() != "" {
		return nil, false
	}
	if timeout, has := m.object("advice").number("timeout"); has && timeout == 0 {
		return nil, false
	}
	if !c.state.acks {
		return m, len(c.id) == 0 || string(m.id()) != string(c.id)
	}
	return m, ackOf(m) >= c.state.batch
}

// authenticate finds out who sent the connect, without waiting. It returns false if that
// is not known, or if the caller may not have what the session has.
func (c *connect) authenticate() bool {
	r := c.r
	if c.state.token != "" && !hasCredential(r) {
		r = withToken(r, c.state.token)
	}
	if c.server.options.Admission.Authenticate(r, c.caller) != nil || ownerOf(c.caller.Principal) != c.state.owner {
		return false
	}
	return !slices.ContainsFunc(c.state.channels, func(u subscription) bool { return c.caller.MaySubscribe(u.channel) != nil })
}

// replace registers n in the place of c, unless the session was changed since c looked at
// it.
func (s *Server) replace(c, n *connect) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.waiting[c.clientID] != c || c.woken || time.Since(c.answered) > followTime {
		return false
	}
	s.waiting[c.clientID] = n
	return true
}
