package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"comet/gateway/wire"
	"comet/pubsub"
)

// Result is the outcome of one draft of a batch.
type Result struct {
	Receipt
	Err error // a *ProblemError; then Receipt is empty
}

// draftJSON is a line of a batch.
type draftJSON struct {
	Channel   string          `json:"channel"`
	Type      string          `json:"type,omitempty"`
	Data      json.RawMessage `json:"data"`
	Key       string          `json:"key,omitempty"`
	Ephemeral bool            `json:"ephemeral,omitempty"`
	Tags      pubsub.Tags     `json:"tags,omitzero"`
}

// PublishBatch publishes drafts in one request and returns a result for each,
// in order. Drafts of one channel keep their order. The whole request is retried
// as Publish does, and sent only once if any draft is ephemeral. A single draft
// that failed is not retried, as it would arrive after the drafts that follow it.
func (c *Client) PublishBatch(ctx context.Context, drafts []pubsub.Draft) ([]Result, error) {
	if len(drafts) == 0 {
		return nil, nil
	}
	lines, err := batchLines(drafts)
	if err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	ephemeral := slices.ContainsFunc(drafts, func(d pubsub.Draft) bool { return d.Ephemeral })
	body, err := c.publish(ctx, request{
		method: http.MethodPost,
		target: "/v1/publish",
		header: http.Header{"Content-Type": {wire.NDJSON.ContentType()}},
		body:   lines,
	}, http.StatusOK, !ephemeral)
	var results []Result
	if err == nil {
		results, err = batchResults(body, drafts)
	}
	if err != nil {
		return nil, fmt.Errorf("publish %d messages: %w", len(drafts), err)
	}
	return results, nil
}

func batchLines(drafts []pubsub.Draft) (string, error) {
	var lines strings.Builder
	e := json.NewEncoder(&lines)
	e.SetEscapeHTML(false) // keep data byte for byte
	for i := range drafts {
		d := &drafts[i]
		if err := d.Validate(); err != nil {
			return "", fmt.Errorf("draft %d: %w", i, err)
		}
		if e.Encode(draftJSON{d.Channel, d.Type, d.Data, keyOf(d), d.Ephemeral, d.Tags}) != nil {
			return "", fmt.Errorf("draft %d: %w", i, pubsub.ErrNotJSON)
		}
	}
	return lines.String(), nil
}

func batchResults(body []byte, drafts []pubsub.Draft) ([]Result, error) {
	var answer struct {
		Results []receiptJSON `json:"results"`
	}
	if err := parse(body, &answer); err != nil {
		return nil, err
	}
	if len(answer.Results) != len(drafts) {
		return nil, fmt.Errorf("%w: %d results", wire.ErrMalformed, len(answer.Results))
	}
	results := make([]Result, len(drafts))
	for i := range results {
		if problem := answer.Results[i].Error; problem != nil {
			results[i].Err = problem
			continue
		}
		receipt, err := answer.Results[i].receipt(&drafts[i])
		if err != nil {
			return nil, err
		}
		results[i].Receipt = receipt
	}
	return results, nil
}
