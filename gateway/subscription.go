package gateway

import (
	"context"
	"net/http"
	"slices"

	"comet/gateway/conn"
	"comet/gateway/hook"
	"comet/pubsub"
)

// subscription is a stream or poll that was let in.
type subscription struct {
	request    *http.Request // its context ends with a conn.CloseReason
	cancel     context.CancelFunc
	subscriber *pubsub.Subscriber
	cursors    *pubsub.CursorSet
	several    bool // more than one channel
	session    conn.Session
	visit      *visit
	channels   []string
	replay     *conn.Replay // nil: the log is not needed
	held       bool         // the Holder has it, which ends it
}

// subscribe lets in what a request to events or poll asks for. The caller
// ends it when the request has been handled.
func (g *Gateway) subscribe(r *http.Request, p *parameters) (*subscription, error) {
	v := visitOf(r)
	asked, err := askedBy(r, p, v)
	if err != nil {
		return nil, err
	}
	if err := g.ask(r.Context(), v, hook.Subscribe, asked.channels...); err != nil {
		return nil, err
	}
	if err := g.admit(v); err != nil {
		g.countRefusal(err)
		return nil, err
	}
	s := &subscription{visit: v, channels: asked.channels, several: len(asked.channels) > 1, session: v.session()}
	complete := false
	defer func() { // also after a panic
		if !complete {
			g.end(s)
		}
	}()
	ctx, cancel := g.whileHere(r, v)
	s.cancel = cancel
	if err := g.revocations.check(v.Principal); err != nil { // a user who was revoked just before will not be again
		return nil, err
	}
	starts := asked.starts()
	if slices.ContainsFunc(starts, func(s pubsub.Start) bool { return s.From != pubsub.From{} }) {
		if ctx, s.replay, err = g.options.Replays.Begin(ctx, v.client.Address); err != nil {
			return nil, err
		}
	}
	if s.subscriber, err = g.options.Hub.Subscribe(ctx, starts); err != nil {
		if context.Cause(ctx) == conn.Slow { // others wait, and Redis does not answer
			return nil, conn.ErrTooManyReplays
		}
		return nil, err
	}
	s.replay.Progress()
	s.request, s.cursors = r.WithContext(ctx), asked.cursors(s.subscriber.Start())
	complete = true
	return s, nil
}

// end ends a subscription when its request has been handled, also one that no
// Holder has got.
func (g *Gateway) end(s *subscription) {
	s.replay.End()
	if s.cancel != nil {
		s.cancel()
	}
	if s.held {
		return
	}
	if s.subscriber != nil {
		s.subscriber.Close()
	}
	g.release(s.visit)
}
