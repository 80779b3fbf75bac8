package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"comet/pubsub"
)

// Presence is who is in a channel, or a page of them.
type Presence struct {
	Channel string `json:"channel"`
	Count   int    `json:"count"` // of all, not just of the page
	Users   []User `json:"users"`
	Next    string `json:"next"` // where the next page begins; empty: there is none
}

// User is one who is in a channel.
type User struct {
	Name  string          `json:"user"`
	Info  json.RawMessage `json:"info"` // what the user's token says of them; nil: nothing
	Since time.Time       `json:"since"`
}

// Presence reads who is in channel, over all nodes, and tries only once. after
// is the Next of the page before; empty: the first page. Errors are
// *ProblemError, those of the network, or wire.ErrMalformed.
func (c *Client) Presence(ctx context.Context, channel, after string) (*Presence, error) {
	if err := pubsub.ValidateChannel(channel); err != nil {
		return nil, fmt.Errorf("presence: %w", err)
	}
	target := channelPath(channel, "presence")
	if after != "" {
		target += "?after=" + url.QueryEscape(after)
	}
	body, err := c.call(ctx, request{method: http.MethodGet, target: target}, http.StatusOK)
	var p Presence
	if err == nil {
		err = parse(body, &p)
	}
	if err != nil {
		return nil, fmt.Errorf("presence in %q: %w", channel, err)
	}
	return &p, nil
}
