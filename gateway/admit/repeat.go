package admit

import (
	"context"
	"log/slog"
	"runtime/debug"

	"comet/gateway/auth"
	"comet/gateway/conn"
	"comet/pubsub"
)

// Repeat admits polls whose requests are those of a poll that was admitted, except for
// their cursors. It does not read the request again, but all that decides about it: a
// change of the rules or keys, a revocation and the end of a token are noticed, and
// limits, charges and counts apply to each poll. A Repeat belongs to one connection.
type Repeat struct {
	controller *Controller
	caller     Caller
	keys       auth.KeysVersion
	channels   []string
	session    Session                // without presence
	end        func(conn.CloseReason) // session.End
	present    bool                   // the user joins the presence of the channels
}

var _ conn.Repeater = (*Repeat)(nil)

// Repeat returns what admits the polls that repeat a; nil if each has to be admitted by
// Admit, because the application is asked or the log has a line for each.
func (a *Admission) Repeat() *Repeat {
	c := a.controller
	if !a.Transport.Polls() || c.options.Asker != nil || c.logsConnections() {
		return nil
	}
	r := &Repeat{
		controller: c, keys: a.caller.keys, channels: a.Channels,
		caller:  Caller{Principal: a.caller.Principal, Client: a.caller.Client, Rules: a.caller.Rules, Fast: true},
		session: Session{of: a.Session.of, user: a.Session.user},
		present: a.Present && c.options.Presence != nil && a.caller.User != "",
	}
	if r.session.of.limits != nil {
		r.session.extra = &sessionExtra{address: a.caller.Client.Address}
	}
	r.end = r.session.EndFunc()
	return r
}

// logsConnections reports whether the log has a line for each stream and poll.
func (c *Controller) logsConnections() bool {
	return c.options.Logger.Enabled(context.Background(), slog.LevelDebug)
}

// Repeat implements conn.Repeater. For one channel, and without presence, it allocates
// nothing.
func (r *Repeat) Repeat(cursor []byte, next *conn.FastResult) (ok bool) {
	c, caller := r.controller, &r.caller
	if c.rules.Load() != caller.Rules || c.logsConnections() || !caller.Rules.Auth.StillKnown(caller.Principal, r.keys) {
		return false
	}
	if c.acquire(caller) != nil {
		return false
	}
	defer func() {
		if p := recover(); p != nil {
			c.options.Logger.Error("panic on the fast path", "panic", p, "stack", string(debug.Stack()))
		}
		if !ok {
			next.Release()
			c.release(caller)
		}
	}()
	if !r.attach(cursor, next) || caller.Rules.Limiter.Request(caller.Client) != nil {
		return false
	}
	next.Session, next.Ended = caller.bounds(), r.end
	if r.present {
		s := r.session
		s.joinPresence(&Admission{controller: c, caller: caller, Subscription: &Subscription{Channels: r.channels}})
		next.Ended = s.EndFunc()
	}
	c.counts[r.session.of.transport].connects.Add(1)
	c.options.Hub.CountTailResumes(len(next.Channels))
	return true
}

// attach joins the channels after cursor; false if one is not open, or its tail does not
// have the position.
func (r *Repeat) attach(cursor []byte, next *conn.FastResult) bool {
	if len(r.channels) == 1 {
		at, err := pubsub.ParseCursor(string(cursor))
		return err == nil && r.attachOne(0, at, next)
	}
	at, err := pubsub.ParseCursorSet(r.channels, string(cursor))
	if err != nil {
		return false
	}
	for i := range at {
		if !r.attachOne(i, at[i], next) {
			return false
		}
	}
	return true
}

func (r *Repeat) attachOne(i int, at pubsub.Cursor, next *conn.FastResult) bool {
	hub := r.controller.options.Hub
	channel, position, at, ok := hub.TryAcquire(pubsub.Start{Channel: r.channels[i], From: pubsub.From{Cursor: &at}})
	if !ok {
		return false
	}
	next.Channels, next.Positions = append(next.Channels, channel), append(next.Positions, position)
	next.Cursors.Set(i, at)
	return true
}
