package gateway

import (
	"net/http"

	"comet/gateway/wire"
	"comet/pubsub"
)

// defaultMembers is the default of limit: members on a page.
const defaultMembers = 100

// validForPresence returns nil for a valid channel. Presence is of one channel.
func validForPresence(name string) error {
	if pubsub.IsPattern(name) {
		return problem(invalidChannel, "The channel %s is a pattern, and presence is kept for each channel alone: ask for the presence of one channel.", name)
	}
	return pubsub.ValidateChannel(name)
}

// getPresence: GET /v1/channels/{channel}/presence
func getPresence(g *Gateway, w http.ResponseWriter, r *http.Request, rc *requestContext) error {
	channel, p, err := channelToRead(g, r, rc, validForPresence, rc.MaySeePresence)
	if err != nil {
		return err
	}
	limit := p.integer("limit", defaultMembers, 1, pubsub.MaxMembers)
	after := p.Get("after")
	if p.err != nil {
		return p.err
	}
	if g.options.Presence == nil || !g.options.Presence.Enabled(channel) {
		return problem(noPresence, "Presence is disabled for this channel. Add a matching rule with `presence: true` under `channels`.")
	}
	page, err := g.options.Presence.Members(r.Context(), channel, after, limit)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, "application/json", append(wire.NewPresence(channel, &page).AppendJSON(nil), '\n'))
	return nil
}
