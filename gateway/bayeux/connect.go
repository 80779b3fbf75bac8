package bayeux

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"comet/gateway/admit"
	"comet/gateway/conn"
	"comet/pubsub"
)

// connect is a /meta/connect under way. It implements conn.Answerer.
type connect struct {
	server   *Server
	request  *request
	r        *http.Request // with the credential of the caller
	caller   *admit.Caller
	clientID string
	id       json.RawMessage
	ack      int64             // the batch that the client has; negative: it does not say
	name     string            // state.connect
	until    time.Time         // the end of the wait
	places   []place           // of the logs that it waits for
	cursors  *pubsub.CursorSet // where the wait is

	session *session
	state   *state // with what the connect has acknowledged; owned by the goroutine that makes the answer
	settled int64  // the batch that state acknowledges and the record does not yet; 0: none
	sent    int64  // the batch in the answer; 0: none

	mu        sync.Mutex
	woken     bool            // the session was changed since it was last looked at
	interrupt *conn.Interrupt // of the current wait
	answered  time.Time       // zero: it waits
}

// session is what a node knows of a session, shared by the connects that follow each other
// on one connection. mu orders the changes of the record.
type session struct {
	mu     sync.Mutex
	stored *state    // the newest version that the node has seen
	kept   time.Time // when it was last stored
}

// effective returns a copy of the stored state with what c has acknowledged. The session
// must be locked.
func (c *connect) effective() *state {
	st := c.session.stored.clone()
	if c.settled != 0 && st.batch == c.settled {
		st.settle(true)
	}
	return st
}

// wake makes the connect look at its session again. It does not wait.
func (c *connect) wake() {
	c.mu.Lock()
	c.woken = true
	i := c.interrupt
	c.mu.Unlock()
	if i != nil {
		i.Fire()
	}
}

// look returns whether wake was called, and the interrupt of the next wait.
func (c *connect) look() (woken bool, next *conn.Interrupt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	woken, c.woken = c.woken, false
	c.interrupt = &conn.Interrupt{}
	return woken, c.interrupt
}

// patience is how long a connect waits for Redis before it is refused: most failovers
// take less, and clients wait 10 s longer than a connect takes.
const patience = 8 * time.Second

// patiently calls try until it succeeds, fails for another reason than that Redis is
// away, or patience is over.
func patiently(ctx context.Context, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := try(ctx)
		if err == nil || !errors.Is(err, pubsub.ErrUnavailable) && !errors.Is(err, pubsub.ErrOutcomeUnknown) && !errors.Is(err, pubsub.ErrRecordChanged) && !errors.Is(err, errUnconfirmed) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
	}
}

// hold answers a request that is one connect, when something comes for it or its time is
// over.
func (e *exchange) hold(m message) error {
	r := &reply{channel: metaConnect, id: m.id(), ack: -1}
	e.replies = append(e.replies, r)
	refuse := func(err error) error {
		r.err = e.server.fault(err, "")
		r.fail()
		return e.answer()
	}
	c, err := e.newConnect(m, true)
	if err != nil {
		return refuse(err)
	}
	_, interrupt := c.look()
	var a *admit.Admission
	err = patiently(e.r.Context(), func(context.Context) (err error) {
		a, err = c.admit()
		return err
	})
	if err != nil {
		c.server.forget(c)
		return refuse(err)
	}
	defer a.Close()
	a.Begin()
	c.r = c.bareRequest(c.r)
	return c.server.options.Holder.HoldPoll(e.w, a.Request, c.poll(a, interrupt))
}

// bareRequest returns what of r is needed for later admissions, without what net/http keeps
// for it: a parked connect has only this. Its context is that of the server.
func (c *connect) bareRequest(r *http.Request) *http.Request {
	bare := http.Request{
		Method: r.Method, URL: r.URL, Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor,
		Header: r.Header, Body: http.NoBody, Host: r.Host, RemoteAddr: r.RemoteAddr, RequestURI: r.RequestURI,
	}
	return bare.WithContext(c.server.ctx)
}

// poll returns what a holder needs for c.
func (c *connect) poll(a *admit.Admission, interrupt *conn.Interrupt) *conn.Poll {
	ended := a.Session.EndFunc()
	return &conn.Poll{
		Subscriber: a.Subscriber, Cursors: a.Cursors, Wait: max(0, time.Until(c.until)), Session: a.Bounds(), Replay: a.Replay,
		Ended: func(reason conn.CloseReason) {
			if reason == conn.Gone {
				c.server.forget(c)
			}
			ended(reason)
		},
		Answerer: c, Interrupt: interrupt, ContentType: c.request.contentType(), BodyRead: true, NextPoll: c.next,
	}
}

// connectAtOnce answers a connect that came with other messages: it does not wait.
func (e *exchange) connectAtOnce(m message, r *reply) error {
	if e.connect != nil {
		return &fault{code: 400, text: "a request may have one connect"}
	}
	c, err := e.newConnect(m, false)
	if err != nil {
		return err
	}
	defer c.server.forget(c)
	a, err := c.admit()
	if err != nil {
		return err
	}
	defer a.Close()
	a.Subscriber.IncludeSilent()
	items, err := a.Subscriber.Poll(a.Request.Context(), maxEvents, 0)
	if err != nil && !errors.Is(err, pubsub.ErrSlow) {
		return err
	}
	a.Subscriber.Close()
	events, err := c.deliver(e.r.Context(), items)
	if err != nil && !isOver(err) {
		return err
	}
	e.connect = c
	e.keep(c.clientID, c.state)
	*r = *c.reply(conn.Answered, events, err)
	return nil
}

// newConnect makes the message's connect the one of its session: it acknowledges what the
// answer before had, and ends the connect before.
func (e *exchange) newConnect(m message, alone bool) (*connect, error) {
	s := e.server
	var clientID string
	var st *state
	var caller *admit.Caller
	err := patiently(e.r.Context(), func(ctx context.Context) (err error) {
		clientID, st, caller, err = e.session(ctx, m)
		return err
	})
	if err != nil {
		return nil, err
	}
	if kind, ok := m.text("connectionType"); !ok || !validConnectionType(kind) {
		return nil, &fault{code: 400, arguments: kind, text: "connectionType must be long-polling or callback-polling"}
	}
	for _, channel := range st.names() {
		if err := caller.MaySubscribe(channel); err != nil {
			return nil, s.fault(err, s.nameOf(channel))
		}
	}
	own := *caller // the rest of its request goes
	c := &connect{
		server: s, request: e.request.bare(), r: e.r, caller: &own, clientID: clientID, id: m.id(),
		name: s.node[len(s.node)-8:] + "." + strconv.FormatUint(s.counter.Add(1), 36), until: time.Now().Add(s.wait(m)),
		ack: ackOf(m),
	}
	previous := s.register(c) // before the session names this node, for what others then tell it
	if err := c.begin(e.r.Context(), m, st, alone); err != nil {
		s.forget(c)
		return nil, err
	}
	if previous != nil {
		previous.wake()
	}
	return c, nil
}

// wait is how long a connect waits: as long as the client asks for, within the limits.
func (s *Server) wait(m message) time.Duration {
	wait := min(s.options.Timeout, max(0, s.options.Limits().Wait))
	if asked, has := m.object("advice").number("timeout"); has {
		wait = min(wait, time.Duration(asked)*time.Millisecond)
	}
	return wait
}

// register makes c the connect of its session that this node holds, and returns the one
// before, or nil.
func (s *Server) register(c *connect) (previous *connect) {
	s.mu.Lock()
	defer s.mu.Unlock()
	previous = s.waiting[c.clientID]
	s.waiting[c.clientID] = c
	return previous
}

// forget undoes register.
func (s *Server) forget(c *connect) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting[c.clientID] == c {
		delete(s.waiting, c.clientID)
	}
}

// finish notes that c is answered. It stays registered for a while, so that it learns of
// changes of the session until the next connect on its connection.
func (c *connect) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.interrupt, c.answered = nil, time.Now()
}

// Times of answered connects.
const (
	followTime    = 10 * time.Second // how long the next connect may take to be admitted without loading the session
	forgetEvery   = 5 * time.Second
	answeredSince = followTime + forgetEvery
)

// forgetAnswered forgets connects that no other followed, until the server is closed.
func (s *Server) forgetAnswered() {
	tick := time.NewTicker(forgetEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		s.mu.Lock()
		for id, c := range s.waiting {
			c.mu.Lock()
			if !c.answered.IsZero() && time.Since(c.answered) > answeredSince {
				delete(s.waiting, id)
			}
			c.mu.Unlock()
		}
		s.mu.Unlock()
	}
}

// ackOf returns the number of the batch that a connect acknowledges; -1 without one.
func ackOf(m message) int64 {
	if n, ok := m.object("ext").number("ack"); ok {
		return n
	}
	return -1
}

// acknowledgement is what a connect says about the answer before it.
type acknowledgement struct {
	ack    int64  // see ackOf
	id     string // of the connect, as JSON; Faye repeats it after a failure
	failed bool   // it asks for an answer at once, as CometD does after a failure
	giveUp time.Time
}

// confirmTime is how long a connect after a failure waits for the node that made the
// answer before it to say whether that was written.
const confirmTime = 300 * time.Millisecond

// errUnconfirmed says that it is not known yet whether the last batch was written.
var errUnconfirmed = errors.New("the last batch is not confirmed")

// apply acknowledges the last batch of st, or has it sent again. A client that does not
// acknowledge batches is taken to have what was written to its connection, and also what
// may have been written, unless it says that it got no answer. The error is errUnconfirmed
// if that may be known soon.
func (k *acknowledgement) apply(st *state) error {
	switch {
	case !st.pending():
	case st.acks:
		st.settle(k.ack >= st.batch)
	case st.lost == st.batch:
		st.settle(false)
	case st.written == st.batch, !k.failed && (k.id == "" || k.id != st.answered):
		st.settle(true)
	case time.Now().After(k.giveUp): // its node has gone before it could say
		st.settle(false)
	default:
		return errUnconfirmed
	}
	return nil
}

// begin stores that c is the connect of its session, and what it acknowledges. alone says that
// it is alone in its request.
func (c *connect) begin(ctx context.Context, m message, st *state, alone bool) error {
	s := c.server
	asked, has := m.object("advice").number("timeout")
	k := &acknowledgement{ack: c.ack, id: string(c.id), failed: alone && has && asked == 0, giveUp: time.Now().Add(confirmTime)}
	token := m.token()
	before := ""
	err := patiently(ctx, func(ctx context.Context) (err error) {
		c.state, err = s.change(ctx, c.clientID, st, func(next *state) error {
			if next.connect != c.name { // else it was stored, though the answer was lost
				if err := k.apply(next); err != nil {
					return err
				}
				before, next.node, next.connect = next.node, s.node, c.name
			}
			if token != "" && c.caller.User != "" {
				next.token = token
			}
			return nil
		})
		if err != nil {
			if again, err := s.load(ctx, c.clientID); err == nil {
				st = again
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	c.session = &session{stored: c.state, kept: time.Now()}
	if before != s.node {
		s.notify(ctx, before, c.clientID)
	}
	return nil
}

// admit joins the channels of the session.
func (c *connect) admit() (*admit.Admission, error) {
	starts, places, err := c.server.starts(c.state)
	if err != nil {
		return nil, err
	}
	want := &admit.Subscription{Channels: c.state.names(), Starts: starts, Transport: conn.OverBayeux, Present: true}
	a, err := c.server.options.Admission.AdmitAuthenticated(c.r, c.caller, want)
	if err != nil {
		return nil, err
	}
	if c.places, c.cursors = places, a.Cursors; a.Subscriber != nil && time.Until(c.until) <= 0 {
		a.Subscriber.IncludeSilent()
	}
	return a, nil
}
