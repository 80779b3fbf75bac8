package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"comet/gateway/wire"
	"comet/pubsub"
)

// Receipt is the answer to a publish.
type Receipt struct {
	ID      pubsub.ID // zero if ephemeral
	Channel string
	// Duplicate: a message with the draft's Key had been published before, and
	// ID is that one's; it may have been an earlier try of the same call.
	// Always false for a draft without a Key.
	Duplicate bool
}

// How a publish is tried again.
const (
	publishTries = 10
	// tryTimeout is for one try, answer included.
	tryTimeout = 15 * time.Second
	// publishTimeout is for all tries together. It ends long before the
	// server forgets idempotency keys, after 5 minutes.
	publishTimeout = 2 * time.Minute
)

// Publish publishes d once: network failures, 408, 429 and 5xx are tried again
// under the same idempotency key, at the pace that the server asks for, until
// ctx ends, or 10 times within 2 minutes. A draft without a Key gets a random
// one. An ephemeral draft has none and is therefore tried only once.
//
// Errors are *pubsub.InvalidError, *ProblemError, those of the network and of
// ctx, or wire.ErrMalformed. After any but the first, and problems of 4xx, the
// message may be published: calling again with the same Key is safe. A Key that
// the same user or API key sent with another message in the last 5 minutes is
// pubsub.ErrKeyReused.
func (c *Client) Publish(ctx context.Context, d pubsub.Draft) (Receipt, error) {
	if err := d.Validate(); err != nil {
		return Receipt{}, fmt.Errorf("publish: %w", err)
	}
	query := url.Values{}
	if d.Type != "" {
		query.Set("type", d.Type)
	}
	header := http.Header{"Content-Type": {"application/json"}}
	if d.Ephemeral {
		query.Set("ephemeral", "true")
	} else {
		header.Set("Idempotency-Key", keyOf(&d))
	}
	body, err := c.publish(ctx, request{
		method: http.MethodPost,
		target: channelPath(d.Channel, "messages") + "?" + query.Encode(),
		header: header,
		body:   string(d.Data),
	}, http.StatusCreated, !d.Ephemeral)
	var answer receiptJSON
	if err == nil {
		err = parse(body, &answer)
	}
	var receipt Receipt
	if err == nil {
		receipt, err = answer.receipt(&d)
	}
	if err != nil {
		return Receipt{}, fmt.Errorf("publish %q: %w", d.Channel, err)
	}
	return receipt, nil
}

// keyOf is the idempotency key to send with d.
func keyOf(d *pubsub.Draft) string {
	if d.Key != "" || d.Ephemeral {
		return d.Key
	}
	return rand.Text()
}

// channelPath is where something of a channel is.
func channelPath(channel, what string) string {
	segment := url.PathEscape(channel)
	if channel == "." || channel == ".." {
		segment = strings.ReplaceAll(channel, ".", "%2E") // or it would be a step in the path
	}
	return "/v1/channels/" + segment + "/" + what
}

// publish sends r until it is answered with want, or once if it must not be
// repeated.
func (c *Client) publish(ctx context.Context, r request, want int, repeatable bool) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	wait := backoff{first: 100 * time.Millisecond, longest: 5 * time.Second}
	for try := 1; ; try++ {
		body, err := c.try(ctx, r, want)
		if err == nil || !repeatable || !temporary(err) || try == publishTries || ctx.Err() != nil {
			return body, err
		}
		pause := wait.next(askedBy(err))
		if deadline, _ := ctx.Deadline(); time.Until(deadline) < pause {
			return nil, err
		}
		c.logger.WarnContext(ctx, "publish failed, trying again", "error", err, "try", try, "wait", pause)
		if ended := sleep(ctx, pause); ended != nil {
			return nil, fmt.Errorf("%w, after: %w", ended, err)
		}
	}
}

func (c *Client) try(ctx context.Context, r request, want int) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	return c.call(ctx, r, want)
}

// receiptJSON is the answer to one publish; Error only in a batch.
type receiptJSON struct {
	ID        string        `json:"id"`
	Channel   string        `json:"channel"`
	Duplicate bool          `json:"duplicate"`
	Error     *ProblemError `json:"error"`
}

func (r *receiptJSON) receipt(d *pubsub.Draft) (Receipt, error) {
	receipt := Receipt{Channel: d.Channel, Duplicate: r.Duplicate && d.Key != ""}
	if d.Ephemeral {
		return receipt, nil
	}
	var err error
	if receipt.ID, err = pubsub.ParseID(r.ID); err != nil {
		return Receipt{}, fmt.Errorf("%w: %w", wire.ErrMalformed, err)
	}
	return receipt, nil
}

func parse(body []byte, answer any) error {
	if err := json.Unmarshal(body, answer); err != nil {
		return fmt.Errorf("%w: %w", wire.ErrMalformed, err)
	}
	return nil
}
