package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"comet/gateway/wire"
	"comet/pubsub"
)

// pollMessages bounds the items of one answer; the next poll gets the rest.
const pollMessages = 1000

// defaultWait is how long a poll waits that does not say.
const defaultWait = 25 * time.Second

// poll: GET /v1/poll
func (g *Gateway) poll(w http.ResponseWriter, r *http.Request) error {
	p, err := parametersOf(r)
	if err != nil {
		return err
	}
	wait := p.wait("wait", defaultWait, g.options.Limits.Wait)
	s, err := g.subscriptionOf(r, p)
	if err != nil {
		return err
	}
	release, err := g.admit()
	if err != nil {
		return err
	}
	defer release()
	ctx, cancel := g.whileHere(r)
	defer cancel()
	subscriber, err := g.options.Hub.Subscribe(ctx, s.starts)
	if err != nil {
		return err
	}
	defer subscriber.Close()
	items, err := nextWithin(ctx, subscriber, wait)
	if err != nil {
		return err
	}
	cursors := pubsub.NewCursorSet(s.channels, subscriber.Start())
	answer(w, http.StatusOK, "application/json", append(pollAnswer(items, cursors).AppendJSON(nil), '\n'))
	return nil
}

// errWaited ends a poll to which nothing came.
var errWaited = errors.New("waited long enough")

// nextWithin is Next with an end: nothing is no error, and neither is the
// node's leaving.
func nextWithin(ctx context.Context, s *pubsub.Subscriber, wait time.Duration) ([]pubsub.Delivery, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, wait, errWaited)
	defer cancel()
	items, err := s.Next(ctx, pollMessages)
	if errors.Is(err, errWaited) || errors.Is(err, errLeaving) {
		return nil, nil
	}
	return items, err
}

func pollAnswer(items []pubsub.Delivery, cursors *pubsub.CursorSet) *wire.Poll {
	var p wire.Poll
	for _, it := range items {
		cursors.Set(it.Channel, it.After)
		if it.Gap != nil {
			p.Gaps = append(p.Gaps, it.Gap)
		} else {
			p.Messages = append(p.Messages, it.Message)
		}
	}
	p.Cursor = cursors.String()
	return &p
}
