// Package admit decides who may do what on a node: it authenticates requests,
// keeps clients within their limits, asks the application (package hook), and
// admits streams and polls to their channels. It also closes them when their user
// is revoked. Controller.Admit is the one way in, for net/http and for the fast
// path that accepts connections without it.
package admit

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"comet/gateway/auth"
	"comet/gateway/conn"
	"comet/gateway/hook"
	"comet/pubsub"
)

// Options of a Controller. Nil means that there is none, unless a field says
// otherwise.
type Options struct {
	Hub         *pubsub.Hub       // must be set
	Replays     *conn.Replays     // must be set
	Revocations *auth.Revocations // nil: no user is ever revoked
	Store       RevocationStore   // of the revocations of this node
	Asker       *hook.Asker
	Events      *hook.Events
	Presence    *pubsub.Presence
	Logger      *slog.Logger // must be set

	// CloseParked closes the streams and polls of a user that no request holds
	// any more and that were opened with a token issued before a time.
	CloseParked func(user string, before time.Time)
}

// Controller admits requests to a node, and streams and polls to its channels.
// Its methods may be called concurrently.
type Controller struct {
	options     Options
	rules       atomic.Pointer[Rules]
	revocations *revocationFeed
	byUser      connsByUser
	uncounted   [conn.Transports]sessions // of clients without limits

	connections atomic.Int64
	refused     atomic.Int64
	counts      [conn.Transports]transportCounts

	spread   atomic.Int64    // of the drain, in ns
	draining context.Context // ends when the drain begins
	drain    context.CancelFunc
}

// New makes a Controller. Call SetRules before anything else.
func New(o Options) *Controller {
	c := &Controller{options: o}
	c.revocations = newRevocationFeed(o.Hub, o.Revocations, o.Store, o.Logger)
	c.revocations.leeway = func() time.Duration { return c.rules.Load().Leeway }
	c.revocations.close = func(user string, before time.Time) {
		c.byUser.revoke(user, before)
		o.CloseParked(user, before)
	}
	c.draining, c.drain = context.WithCancel(context.Background())
	for t := range c.counts {
		c.counts[t].init()
		c.uncounted[t].init(c, conn.Transport(t), nil)
	}
	return c
}

// SetRules makes r the rules of the next request, and returns them for
// Caller.Rules. Open sessions stay, and stay counted.
func (c *Controller) SetRules(r Rules) *Rules {
	r.counted = new([conn.Transports]sessions)
	for t := range r.counted {
		r.counted[t].init(c, conn.Transport(t), r.Limiter.Connections)
	}
	c.rules.Store(&r)
	return &r
}

// Drain refuses new streams and polls, and ends the contexts of those that a
// request holds with conn.Shutdown, evenly over the time of spread. It returns at
// once.
func (c *Controller) Drain(spread time.Duration) {
	c.spread.Store(int64(spread))
	c.drain()
}

// Revoke ends all streams and polls of a user on all nodes. From now on it
// refuses every token of the user that was accepted until now, and those issued
// until Rules.Leeway from now. After an error the user may be revoked on some
// nodes only: call it again.
func (c *Controller) Revoke(ctx context.Context, user string) error {
	return c.revocations.revoke(ctx, user)
}

// FollowRevocations applies the revocations of all nodes until ctx ends, and
// restores the log when it has lost some. With Options.Revocations it must run:
// until it has loaded the log, no tokens are accepted.
func (c *Controller) FollowRevocations(ctx context.Context) { c.revocations.follow(ctx) }

// ErrWouldWait says that a request on the fast path depends on something that
// may take long: a signature, the hook, the log. Nothing was charged or counted,
// and the request goes through net/http.
var ErrWouldWait = errors.New("admission would wait")

// Admit decides about a request for a stream or poll. The outcome is an
// Admission, an error that says why the request is refused or, on the fast path,
// ErrWouldWait. In this order it
//
//   - authenticates the request and charges it to the rates of its client,
//   - calls parse, which checks the permissions,
//   - asks the application (auth.hook),
//   - counts the connection, if the limits have room for it,
//   - checks that the user was not revoked in the meantime,
//   - joins the channels and their presence.
//
// On the fast path nothing waits, and the charge comes last, see
// Admission.Charge: net/http charges a request that falls back.
func (c *Controller) Admit(r *http.Request, caller *Caller, parse func() (*Subscription, error)) (*Admission, error) {
	if err := c.Authenticate(r, caller); err != nil {
		return nil, err
	}
	want, err := parse()
	if err != nil {
		return nil, err
	}
	return c.AdmitAuthenticated(r, caller, want)
}

// AdmitAuthenticated is Admit for a caller whose request was authenticated, and whose
// permissions for the channels of want were checked. A poll may have no channels.
func (c *Controller) AdmitAuthenticated(r *http.Request, caller *Caller, want *Subscription) (_ *Admission, err error) {
	if len(want.Channels) > 0 {
		if err := c.AskHook(r.Context(), caller, hook.Subscribe, want.Channels...); err != nil {
			return nil, err
		}
	}
	if err := c.acquire(caller); err != nil {
		return nil, err
	}
	a := &Admission{controller: c, caller: caller, Request: r, Subscription: want}
	defer func() { // also after a panic
		if !a.joined {
			a.Close()
		}
	}()
	if caller.Fast {
		err = a.attach()
	} else {
		err = a.subscribe()
	}
	if err != nil {
		return nil, err
	}
	a.Session = c.newSession(a)
	a.joined = true
	return a, nil
}

// FullError says that the node has as many connections as Rules.Connections.
type FullError struct{ Connections int64 }

func (e *FullError) Error() string { return "too many connections" }

// acquire counts a stream or poll, or refuses it. Each one that it counted is
// released once, by release or Session.End.
func (c *Controller) acquire(caller *Caller) error {
	if c.draining.Err() != nil {
		return conn.Shutdown
	}
	if err := caller.Rules.Limiter.Connect(caller.Client); err != nil {
		return err
	}
	most := int64(caller.Rules.Connections)
	if n := c.connections.Add(1); most > 0 && n > most {
		c.release(caller)
		if !caller.Fast { // else net/http refuses it again
			c.refused.Add(1)
		}
		return &FullError{most}
	}
	return nil
}

func (c *Controller) release(caller *Caller) {
	c.connections.Add(-1)
	caller.Rules.Limiter.Disconnect(caller.Client)
}

// Admission is a stream or poll that was admitted. Through net/http, Close must be
// called when the request has been handled. On the fast path, Session.End must be
// called, with conn.FellBack if Begin was not.
type Admission struct {
	*Subscription
	Request *http.Request // its context ends with a conn.CloseReason; unchanged on the fast path
	Session Session
	Cursors *pubsub.CursorSet // where the stream or poll is

	Subscriber *pubsub.Subscriber // nil on the fast path
	Replay     *conn.Replay       // nil: the log is not needed

	Open      []*pubsub.Channel // the channels, for the holder to Release; nil through net/http
	Positions []uint64          // in the tail of each of them

	controller *Controller
	caller     *Caller
	cancel     context.CancelFunc
	joined     bool
	begun      bool // the session ends by Session.End
}

// subscribe joins the channels through net/http: it reads the log if it must.
func (a *Admission) subscribe() (err error) {
	c := a.controller
	ctx, cancel := c.untilClosed(a.Request.Context(), a.caller)
	a.cancel = cancel
	// A revocation before untilClosed is seen here; one after it ends ctx.
	if err := c.revocations.check(a.caller.Principal); err != nil {
		return err
	}
	if slices.ContainsFunc(a.Starts, func(s pubsub.Start) bool { return s.From != pubsub.From{} }) {
		if ctx, a.Replay, err = c.options.Replays.Begin(ctx, a.caller.Client.Address); err != nil {
			return err
		}
	}
	if a.Subscriber, err = c.options.Hub.Subscribe(ctx, a.Starts); err != nil {
		if context.Cause(ctx) == conn.Slow { // others wait, and Redis does not answer
			return conn.ErrTooManyReplays
		}
		return err
	}
	a.Replay.Progress()
	a.Request = a.Request.WithContext(ctx)
	a.Cursors = a.cursors(a.Subscriber.StartCursors())
	return nil
}

// attach joins the channels on the fast path: they must be open, and their tails
// must have the starts. A stream of one channel or pattern must begin at the end of the
// tails, because it is parked in a feed, which has only new messages. The holder
// checks revocations when it has parked the connection.
func (a *Admission) attach() error {
	at := make([]pubsub.Cursor, len(a.Starts))
	for i, start := range a.Starts {
		channel, position, cursor, ok := a.controller.options.Hub.TryAcquire(start)
		if !ok {
			return ErrWouldWait
		}
		at[i] = cursor
		a.Open, a.Positions = append(a.Open, channel), append(a.Positions, position)
	}
	if !a.Transport.Polls() && (len(at) == 1 || pubsub.OnePattern(a.Starts) != nil) {
		for i := range at {
			if behind, ok := a.Open[i].ItemsFrom(a.Positions[i], 1); !ok || len(behind) > 0 {
				return ErrWouldWait
			}
		}
	}
	a.Cursors = a.cursors(at)
	if a.Transport.Polls() { // its positions cannot move
		return a.Charge()
	}
	return nil
}

// Charge charges the request to the rates of its client. A stream on the fast
// path is charged once its position is certain, when nothing can make it wait any
// more. Admit has charged everything else.
func (a *Admission) Charge() error { return a.caller.Rules.Limiter.Request(a.caller.Client) }

// Begin counts the stream or poll and reports it to the application and the log.
// From now on Session.End must be called, once.
func (a *Admission) Begin() {
	c, t := a.controller, a.Transport
	c.counts[t].connects.Add(1)
	if a.caller.Fast {
		c.options.Hub.CountResumes(a.Starts)
	}
	a.begun = true
	defer c.recoverFrom("began")
	if c.sendsEvents(t) {
		c.options.Events.Connected(a.caller.User, t.String())
	}
	c.logBegin(a)
}

// Close releases what belongs to the request and, unless Begin was called, the
// session.
func (a *Admission) Close() {
	a.Replay.End()
	if a.cancel != nil {
		a.cancel()
	}
	if a.begun {
		return
	}
	if a.Subscriber != nil {
		a.Subscriber.Close()
	}
	for _, channel := range a.Open {
		channel.Release()
	}
	if a.joined {
		a.Session.End(conn.FellBack)
	} else {
		a.controller.release(a.caller)
	}
}

// untilClosed returns a context that ends with ctx, at some time of the drain
// (conn.Shutdown), or when the user is revoked (conn.Revoked).
func (c *Controller) untilClosed(ctx context.Context, caller *Caller) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.draining, func() {
		if spread := c.spread.Load(); spread > 0 {
			timer := time.NewTimer(rand.N(time.Duration(spread)))
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
		}
		cancel(conn.Shutdown)
	})
	remove := c.byUser.add(caller.User, caller.IssuedAt, cancel)
	return ctx, func() {
		remove()
		stop()
		cancel(nil)
	}
}

// recoverFrom, deferred, keeps a panic in a callback of a stream or poll
// (events, presence, logs) from its writer, which holds thousands of others.
func (c *Controller) recoverFrom(what string) {
	if p := recover(); p != nil {
		c.options.Logger.Error("panic in a callback of a connection", "at", what, "panic", p, "stack", string(debug.Stack()))
	}
}

// Opened returns pubsub.Options.Opened for events about channels. Channels that
// only nodes use have no events.
func Opened(events *hook.Events) func(channel string) { return exceptReserved(events.FirstSubscriber) }

// Closed returns pubsub.Options.Closed for events about channels.
func Closed(events *hook.Events) func(channel string) {
	return exceptReserved(events.LastSubscriberLeft)
}

func exceptReserved(send func(channel string)) func(channel string) {
	return func(channel string) {
		if !strings.HasPrefix(channel, pubsub.ControlPrefix) {
			send(channel)
		}
	}
}
