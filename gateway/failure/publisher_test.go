package failure

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"comet/client"
	"comet/pubsub"
)

// payload is the data of a message.
type payload struct {
	Key string `json:"key"` // the message's idempotency key, which is unique
	Pad string `json:"pad,omitempty"`
}

// publisher publishes one message after another. It goes on only when it knows
// that the last one is in the log. It is for one goroutine.
type publisher struct {
	name   string
	client *client.Client
	random *rand.Rand

	receipts []receipt
	unknown  []string // keys of messages with an unknown outcome
	wrong    []string
}

const (
	publishPause = 60 * time.Millisecond // on average
	largePad     = 2 << 10               // more than the nodes relay
)

// run publishes until ctx ends. It finishes the message in progress, at the latest
// when decided ends.
func (p *publisher) run(ctx, decided context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		key := fmt.Sprintf("%s-%d", p.name, n)
		p.publish(decided, anyChannel(p.random), key)
		pause(ctx, upTo(p.random, 2*publishPause))
	}
}

// publish retries until the message is in the log.
func (p *publisher) publish(ctx context.Context, channel, key string) {
	data := payload{Key: key}
	if p.random.IntN(10) == 0 {
		data.Pad = strings.Repeat("x", largePad)
	}
	text, err := json.Marshal(data)
	if err != nil {
		p.wrong = append(p.wrong, err.Error())
		return
	}
	draft := pubsub.Draft{Channel: channel, Data: text, Key: key}
	for {
		r, err := p.client.Publish(ctx, draft)
		switch {
		case err == nil:
			p.receipts = append(p.receipts, receipt{channel, key, r.ID})
			return
		case ctx.Err() != nil:
			p.unknown = append(p.unknown, key)
			return
		case isRefusal(err):
			p.wrong = append(p.wrong, fmt.Sprintf("publish %s: %v", key, err))
			return
		}
	}
}

// upTo returns a random time below d.
func upTo(random *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(random.Int64N(int64(d)))
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
