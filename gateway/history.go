package gateway

import (
	"net/http"
	"slices"

	"comet/gateway/wire"
	"comet/pubsub"
)

// defaultHistory is how many messages a page has that does not say.
const defaultHistory = 100

// history: GET /v1/channels/{channel}/messages
func (g *Gateway) history(w http.ResponseWriter, r *http.Request) error {
	channel, err := pathChannel(r)
	if err != nil {
		return err
	}
	if err := g.options.Access.maySubscribe(channel); err != nil {
		return err
	}
	p, err := parametersOf(r)
	if err != nil {
		return err
	}
	limit := p.integer("limit", defaultHistory, 1, pubsub.MaxPage-1)
	order := p.choice("order", "asc", "desc")
	after, before := p.id("after"), p.id("before")
	if p.Has("after") && p.Has("before") {
		p.fail("after", "cannot go with before: page in one direction.")
	}
	if p.err != nil {
		return p.err
	}
	// One more than asked for, to know whether there are more. Without after
	// or before, order says at which end to begin.
	q := pubsub.Query{Channel: channel, Cursor: after, Limit: limit + 1}
	if p.Has("before") || order == "desc" && !p.Has("after") {
		q.Cursor, q.Backward = before, true
	}
	page, err := g.options.Hub.Read(r.Context(), q)
	if err != nil {
		return err
	}
	h := wire.History{Messages: page.Messages, More: len(page.Messages) > limit}
	h.Messages = h.Messages[:min(limit, len(h.Messages))]
	if q.Backward != (order == "desc") {
		slices.Reverse(h.Messages)
	}
	answer(w, http.StatusOK, "application/json", append(h.AppendJSON(nil), '\n'))
	return nil
}
