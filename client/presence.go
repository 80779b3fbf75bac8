package client

import (
	"context"
	"fmt"
	"net/url"
	"strconv"

	"comet/gateway/wire"
	"comet/pubsub"
)

// PresenceOptions choose a page of a channel's members. The zero value is the
// server's default page.
type PresenceOptions struct {
	After string // Next of the previous page; empty: the first page
	Limit int    // users, 1 to pubsub.MaxMembers; 0: the server's default
}

// Presence returns one page of channel's members. It tries only once. Errors are
// *ProblemError, those of the network, or wire.ErrMalformed.
func (c *Client) Presence(ctx context.Context, channel string, o PresenceOptions) (*wire.Presence, error) {
	if err := pubsub.ValidateChannel(channel); err != nil {
		return nil, fmt.Errorf("presence: %w", err)
	}
	query := url.Values{}
	if o.After != "" {
		query.Set("after", o.After)
	}
	if o.Limit > 0 {
		query.Set("limit", strconv.Itoa(o.Limit))
	}
	page, err := getPage(ctx, c, channelPath(channel, "presence"), query, wire.ParsePresence)
	if err != nil {
		return nil, fmt.Errorf("presence in %q: %w", channel, err)
	}
	return page, nil
}
