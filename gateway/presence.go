package gateway

import (
	"net/http"

	"comet/gateway/wire"
	"comet/pubsub"
)

// defaultMembers is how many members a page has that does not say.
const defaultMembers = 100

// presence: GET /v1/channels/{channel}/presence
func (g *Gateway) presence(w http.ResponseWriter, r *http.Request) error {
	channel, p, err := g.channelToRead(r, (*requestContext).MaySeePresence)
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
