package client

import (
	"context"
	"fmt"
	"net/url"
	"strconv"

	"comet/gateway/wire"
	"comet/pubsub"
)

// HistoryOptions choose a page of a channel's log. The zero value is the
// server's default page.
type HistoryOptions struct {
	After, Before pubsub.ID // at most one, exclusive; zero: no bound
	Limit         int       // messages, 1 to pubsub.MaxPage-1; 0: the server's default
	Order         Order     // empty: the server's default
}

// Order of a page.
type Order string

// The orders.
const (
	OldestFirst Order = "asc"
	NewestFirst Order = "desc"
)

// History returns one page of the log of a channel, or of all channels that a pattern
// matches. It tries only once. For the next
// page, set After to the ID of the last message (with NewestFirst, Before).
// Errors are *ProblemError, those of the network, or wire.ErrMalformed.
func (c *Client) History(ctx context.Context, channel string, o HistoryOptions) (*wire.History, error) {
	if err := pubsub.ValidateChannel(channel); err != nil && !pubsub.IsPattern(channel) {
		return nil, fmt.Errorf("history: %w", err)
	}
	query := url.Values{}
	if !o.After.IsZero() {
		query.Set("after", o.After.String())
	}
	if !o.Before.IsZero() {
		query.Set("before", o.Before.String())
	}
	if o.Limit > 0 {
		query.Set("limit", strconv.Itoa(o.Limit))
	}
	if o.Order != "" {
		query.Set("order", string(o.Order))
	}
	page, err := getPage(ctx, c, channelPath(channel, "messages"), query, wire.ParseHistory)
	if err != nil {
		return nil, fmt.Errorf("history of %q: %w", channel, err)
	}
	return page, nil
}
