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

// Receipt is the result of a publish.
type Receipt struct {
	ID      pubsub.ID // zero if ephemeral
	Channel string
	// Duplicate reports that a message with the draft's Key was published
	// before, possibly by an earlier try of the same call. ID is that message's.
	// Duplicate is always false for a draft without a Key.
	Duplicate bool
}

// Limits of the retries of a publish.
const (
	publishTries = 10
	// tryTimeout is for one try, including its response.
	tryTimeout = 15 * time.Second
	// publishTimeout is for all tries together. It is much shorter than the
	// 5 minutes for which the server keeps idempotency keys.
	publishTimeout = 2 * time.Minute
)

// Publish publishes d once. The server sets the sender of the message: d.From is not sent. After network failures, 408, 429 and 5xx it retries
// with the same idempotency key, no faster than the server asks for, until ctx
// ends, at most 10 times within 2 minutes. A draft without a Key gets a random
// one. An ephemeral draft has no key and is therefore sent only once.
//
// Errors are *pubsub.InvalidError, *ProblemError, those of the network and of
// ctx, or wire.ErrMalformed. A *pubsub.InvalidError and a problem of 4xx mean
// that d was not published. After all other errors it may have been: a call with
// the same Key is safe. The error is pubsub.ErrKeyReused if the same user or API
// key sent another message with this Key in the last 5 minutes.
func (c *Client) Publish(ctx context.Context, d pubsub.Draft) (Receipt, error) {
	if err := d.Validate(); err != nil {
		return Receipt{}, fmt.Errorf("publish: %w", err)
	}
	query := url.Values{}
	if d.Type != "" {
		query.Set("type", d.Type)
	}
	for name, value := range d.Tags.All() {
		query.Add("tag", name+":"+value)
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

// keyOf returns the idempotency key to send with d.
func keyOf(d *pubsub.Draft) string {
	if d.Key != "" || d.Ephemeral {
		return d.Key
	}
	return rand.Text()
}

// channelPath returns the path of a channel's messages or presence.
func channelPath(channel, what string) string {
	segment := url.PathEscape(channel)
	if channel == "." || channel == ".." {
		segment = strings.ReplaceAll(channel, ".", "%2E") // a client or proxy would resolve "." and ".."
	}
	return "/v1/channels/" + segment + "/" + what
}

// publish sends r until the response has the status want; only once if r is not
// repeatable.
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
		c.logger.WarnContext(ctx, "publish failed; retrying", "error", err, "try", try, "wait", pause)
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

// receiptJSON is the response to one publish; Error is set only in a batch.
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
