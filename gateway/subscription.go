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
	channels, starts, err := startsOf(r, p, v)
	if err != nil {
		return nil, err
	}
	if err := g.ask(r.Context(), v, hook.Subscribe, channels...); err != nil {
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
		subscriber, err = g.options.Hub.Subscribe(ctx, starts)
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
		cursors:    pubsub.NewCursorSet(channels, subscriber.Start()),
		several:    len(channels) > 1,
		session:    v.session(),
		visit:      v,
		channels:   channels,
	}, nil
}

// startsOf reads `channel`, and where to begin: the Last-Event-ID header
// (which an EventSource sends along with the URL it began with, so it counts
// first), else `cursor`, else `last`, else with the next message. The channels
// are sorted and distinct, with a start for each.
func startsOf(r *http.Request, p *parameters, v *visit) (channels []string, starts []pubsub.Start, err error) {
	channels = slices.Clone(p.Values["channel"])
	slices.Sort(channels)
	channels = slices.Compact(channels)
	if len(channels) == 0 {
		return nil, nil, problem(invalidChannel, "The parameter channel is missing: give one or several, as in ?channel=news&channel=chat/1.")
	}
	if limit := v.policy.Limits.Channels; len(channels) > limit {
		return nil, nil, problem(invalidParameter, "A subscription may have %d channels at most (limits.channels), this has %d.", limit, len(channels))
	}
	for _, channel := range channels {
		if err := pubsub.ValidateChannel(channel); err != nil {
			return nil, nil, err
		}
		if err := v.maySubscribe(channel); err != nil {
			return nil, nil, err
		}
	}
	from, err := fromOf(r, p, channels)
	if err != nil {
		return nil, nil, err
	}
	starts = make([]pubsub.Start, len(channels))
	for i, channel := range channels {
		starts[i] = pubsub.Start{Channel: channel, From: from[i]}
	}
	return channels, starts, nil
}

// fromOf is where to begin in each channel.
func fromOf(r *http.Request, p *parameters, channels []string) ([]pubsub.From, error) {
	cursor := r.Header.Get("Last-Event-ID")
	if cursor == "" {
		cursor = p.Get("cursor")
	}
	last := p.integer("last", 0, 0, pubsub.MaxPage)
	if p.err != nil {
		return nil, p.err
	}
	from := make([]pubsub.From, len(channels))
	switch {
	case cursor == "earliest":
		for i := range from {
			from[i].Earliest = true
		}
	case cursor != "":
		at, err := pubsub.ParseCursorSet(channels, cursor)
		if err != nil {
			return nil, err
		}
		for i := range from {
			from[i].Cursor = &at[i]
		}
	default:
		for i := range from {
			from[i].Last = last
		}
	}
	return from, nil
}
