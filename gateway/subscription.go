package gateway

import (
	"net/http"
	"slices"

	"comet/pubsub"
)

// subscription is what a request to events or poll asks for.
type subscription struct {
	channels []string // sorted, distinct
	starts   []pubsub.Start
}

// subscriptionOf reads `channel`, and where to begin: the Last-Event-ID header
// (which an EventSource sends along with the URL it began with, so it counts
// first), else `cursor`, else `last`, else with the next message.
func (g *Gateway) subscriptionOf(r *http.Request, p *parameters) (*subscription, error) {
	s := &subscription{channels: slices.Clone(p.Values["channel"])}
	slices.Sort(s.channels)
	s.channels = slices.Compact(s.channels)
	if len(s.channels) == 0 {
		return nil, problem(invalidChannel, "The parameter channel is missing: give one or several, as in ?channel=news&channel=chat/1.")
	}
	if limit := g.options.Limits.Channels; len(s.channels) > limit {
		return nil, problem(invalidParameter, "A subscription may have %d channels at most (limits.channels), this has %d.", limit, len(s.channels))
	}
	for _, channel := range s.channels {
		if err := pubsub.ValidateChannel(channel); err != nil {
			return nil, err
		}
		if err := g.options.Access.maySubscribe(channel); err != nil {
			return nil, err
		}
	}
	from, err := fromOf(r, p, s.channels)
	if err != nil {
		return nil, err
	}
	s.starts = make([]pubsub.Start, len(s.channels))
	for i, channel := range s.channels {
		s.starts[i] = pubsub.Start{Channel: channel, From: from[i]}
	}
	return s, nil
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
