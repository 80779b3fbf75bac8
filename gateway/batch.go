package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"comet/gateway/hook"
	"comet/pubsub"
)

// batchItem is one message of a batch as the client sends it.
type batchItem struct {
	Channel   channelName     `json:"channel"`
	Data      json.RawMessage `json:"data"`
	Type      string          `json:"type"`
	Key       string          `json:"key"`
	Ephemeral bool            `json:"ephemeral"`
	Tags      pubsub.Tags     `json:"tags"`
}

// batchResult is the outcome of one message: published, or an error.
type batchResult struct {
	*published
	Error *Problem `json:"error,omitempty"`
}

// postBatch: POST /v1/publish
func postBatch(g *Gateway, w http.ResponseWriter, r *http.Request, rc *requestContext) error {
	lines, what, err := batchLines(w, r, &rc.policy.Limits)
	if err != nil {
		g.publishesRefused.Add(1) // their number is not known
		return err
	}
	results := make([]batchResult, len(lines))
	var drafts []pubsub.Draft
	var at []int // the result of each draft
	ask := askOnce(r.Context(), g, rc)
	for i, line := range lines {
		d, err := itemDraft(rc, ask, line, what, i+1)
		if err != nil {
			g.publishesRefused.Add(1)
			results[i].Error = rc.policy.toProblem(err)
			continue
		}
		d.Trace, d.Owner, d.From = rc.spanParent(), rc.keyOwner(), rc.senderIn(d.Channel)
		drafts, at = append(drafts, d), append(at, i)
	}
	if err := rc.policy.Limiter.Publish(rc.Client, len(drafts)); err != nil {
		g.publishesRefused.Add(int64(len(drafts)))
		return err
	}
	rc.span.record("", "batch", drafts...)
	for i, receipt := range g.options.Hub.Publish(r.Context(), drafts) {
		if receipt.Err != nil {
			results[at[i]].Error = rc.policy.toProblem(receipt.Err)
			continue
		}
		p := answerTo(&drafts[i], &receipt)
		results[at[i]].published = &p
	}
	answerJSON(w, http.StatusOK, "application/json", map[string]any{"results": results})
	return nil
}

// askOnce returns a func that asks the hook whether rc may publish on a channel.
// It asks once per channel, however many messages of the batch that has.
func askOnce(ctx context.Context, g *Gateway, rc *requestContext) func(channel string) error {
	answers := make(map[string]error)
	return func(channel string) error {
		answer, known := answers[channel]
		if !known {
			answer = g.admission.AskHook(ctx, &rc.Caller, hook.Publish, channel)
			answers[channel] = answer
		}
		return answer
	}
}

// batchLines splits the body into its messages. what is the client's name for
// one: an item of an array, or a line.
func batchLines(w http.ResponseWriter, r *http.Request, limits *Limits) (lines []json.RawMessage, what string, err error) {
	media, err := bodyType(r)
	if err != nil {
		return nil, "", err
	}
	if media != "application/json" && media != "application/x-ndjson" {
		return nil, "", problem(wrongMediaType, "A batch is application/json (an array) or application/x-ndjson (one message per line): set the Content-Type.")
	}
	body, err := readBody(w, r, limits.BatchBytes(), "batch", "16 × limits.message, at least 1 MiB")
	if err != nil {
		return nil, "", err
	}
	if media == "application/json" {
		what = "Item"
		if err := json.Unmarshal(body, &lines); err != nil {
			return nil, "", problem(invalidBody, "The body is not a valid JSON array, so nothing was published: %v.", err)
		}
	} else {
		what = "Line"
		lines = splitLines(body)
	}
	if limit := limits.Batch; len(lines) > limit {
		return nil, "", problem(tooLarge, "A batch may have %d messages at most (limits.batch), this has %d.", limit, len(lines))
	}
	return lines, what, nil
}

// splitLines keeps empty lines but the last, so that results and lines agree.
func splitLines(body []byte) (lines []json.RawMessage) {
	body = bytes.TrimSuffix(body, []byte("\n"))
	if len(body) == 0 {
		return nil
	}
	for line := range bytes.SplitSeq(body, []byte("\n")) {
		lines = append(lines, line)
	}
	return lines
}

// itemDraft parses the n-th message of a batch, counted from 1. ask returns an
// error if the application does not allow a channel.
func itemDraft(rc *requestContext, ask func(channel string) error, line []byte, what string, n int) (d pubsub.Draft, err error) {
	var item batchItem
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&item); err != nil {
		return d, problem(invalidBody, "%s %d is not a message: want {\"channel\", \"data\", \"type\"?, \"key\"?, \"ephemeral\"?, \"tags\"?}: %v.", what, n, err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return d, problem(invalidBody, "%s %d has something after the message: put one JSON object on a line.", what, n)
	}
	d = pubsub.Draft{Channel: item.Channel.text, Type: item.Type, Key: item.Key, Ephemeral: item.Ephemeral, Tags: item.Tags}
	if d.Data, err = itemData(item.Data, rc.policy.Limits.Message); err == nil {
		err = d.Validate()
	}
	if item.Channel.broken {
		err = problem(invalidChannel, "The channel is not UTF-8.")
	}
	if err == nil {
		err = rc.MayPublish(d.Channel)
	}
	if err == nil {
		err = ask(d.Channel)
	}
	if err != nil {
		p := rc.policy.toProblem(err)
		return d, &Problem{kind: p.kind, Detail: fmt.Sprintf("%s %d: %s", what, n, p.Detail)}
	}
	return d, nil
}

// itemData returns raw, which must have at most limit bytes, as a message's data.
func itemData(raw json.RawMessage, limit int) ([]byte, error) {
	if len(raw) == 0 {
		return nil, nil // Validate says so
	}
	if len(raw) > limit {
		return nil, problem(tooLarge, "A message may have %d bytes at most (limits.message).", limit)
	}
	data, err := pubsub.CompactJSON(raw)
	return data, bodyError(err)
}
