package gateway

import (
	"context"
	"net/http"

	"comet/gateway/conn"
	"comet/gateway/hook"
	"comet/pubsub"
)

// subscription is a stream or poll that was let in.
type subscription struct {
	request    *http.Request // its context ends with a conn.Bye
	cancel     context.CancelFunc
	subscriber *pubsub.Subscriber
	cursors    *pubsub.CursorSet
	several    bool // more than one channel
	session    conn.Session
	visit      *visit
	channels   []string
}

// subscribe lets in what a request to events or poll asks for. The caller
// cancels it when the request has been handled.
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
	ctx, cancel := g.whileHere(r, v)
	err = g.stillGood(v.Principal) // who was thrown out just before will not be again
	var subscriber *pubsub.Subscriber
	if err == nil {
		subscriber, err = g.options.Hub.Subscribe(ctx, asked.starts())
	}
	if err != nil {
		cancel()
		g.release(v)
		return nil, err
	}
	return &subscription{
		request:    r.WithContext(ctx),
		cancel:     cancel,
		subscriber: subscriber,
		cursors:    asked.cursors(subscriber.Start()),
		several:    len(asked.channels) > 1,
		session:    v.session(),
		visit:      v,
		channels:   asked.channels,
	}, nil
}
