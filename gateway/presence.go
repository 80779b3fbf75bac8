package gateway

import (
	"net/http"

	"comet/gateway/conn"
	"comet/gateway/wire"
	"comet/pubsub"
)

// defaultMembers is how many members a page has that does not say.
const defaultMembers = 100

// presence: GET /v1/channels/{channel}/presence
func (g *Gateway) presence(w http.ResponseWriter, r *http.Request) error {
	channel, p, err := g.mayLookInto(r, (*visit).maySeePresence)
	if err != nil {
		return err
	}
	limit := p.integer("limit", defaultMembers, 1, pubsub.MaxMembers)
	after := p.Get("after")
	if p.err != nil {
		return p.err
	}
	if g.options.Presence == nil || !g.options.Presence.Has(channel) {
		return problem(noPresence, "It is not kept who is in this channel: a rule of the setting channels that matches it must say presence: true.")
	}
	page, err := g.options.Presence.Members(r.Context(), channel, after, limit)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, "application/json", append(wire.NewPresence(channel, &page).AppendJSON(nil), '\n'))
	return nil
}

// present notes that v has a stream or poll in the channels that begins now,
// and returns what to call when it is over, instead of ended. Of who is not a
// user nothing is noted.
func (g *Gateway) present(v *visit, channels []string, ended func(conn.CloseReason)) func(conn.CloseReason) {
	p := g.options.Presence
	if p == nil || v.User == "" {
		return ended
	}
	var stays []pubsub.Stay
	for _, channel := range channels {
		if s, ok := p.Enter(channel, v.User, v.Info); ok {
			stays = append(stays, s)
		}
	}
	switch len(stays) {
	case 0:
		return ended
	case 1: // thousands of streams keep it
		only := stays[0]
		return func(why conn.CloseReason) {
			defer ended(why)
			defer g.recoverFrom("presence")
			p.Leave(only)
		}
	}
	return func(why conn.CloseReason) {
		defer ended(why)
		defer g.recoverFrom("presence")
		for _, s := range stays {
			p.Leave(s)
		}
	}
}
