package client

import (
	"context"
	"net/http"
	"time"

	"comet/gateway/wire"
)

// emptyPollPause separates polls that the node held from those that it did not.
// An empty answer that comes sooner means that the node is draining or does not
// hold polls. Polling it again at once could make a busy loop.
const emptyPollPause = time.Second

// poll yields the events of one poll after another until one fails.
func (s *subscription) poll(ctx context.Context) error {
	for first := true; ; first = false {
		// Get a cursor first: without one, messages published while a poll is
		// on its way would be lost.
		hold := s.o.Wait
		if s.cursor == "" {
			hold = 0
		}
		start := time.Now()
		answer, err := s.pollOnce(ctx, hold)
		if err != nil {
			return err
		}
		if err := s.deliverPoll(answer, first); err != nil {
			return err
		}
		empty := len(answer.Messages)+len(answer.Gaps) == 0
		if empty && time.Since(start) < min(hold, emptyPollPause) {
			return errEnded
		}
		s.wait.reset()
	}
}

func (s *subscription) pollOnce(ctx context.Context, hold time.Duration) (*wire.Poll, error) {
	query := s.query()
	query.Set("wait", hold.String())
	w := newWatchdog(ctx, hold+s.o.Idle)
	defer w.stop()
	res, err := s.client.sendAs(w.ctx, s.client.url(s.node), request{
		method: http.MethodGet,
		target: "/v1/poll?" + query.Encode(),
	}, http.StatusOK)
	if err != nil {
		return nil, w.explain(err)
	}
	defer res.Body.Close()
	body, err := readAnswer(w.guard(res.Body))
	if err != nil {
		return nil, w.explain(err)
	}
	return wire.ParsePoll(body)
}

// deliverPoll yields a poll's events. The poll has one cursor, after all of its
// events, so only the last event moves it.
func (s *subscription) deliverPoll(answer *wire.Poll, first bool) error {
	var events []wire.Event
	if first {
		events = append(events, wire.Event{Kind: wire.KindReady})
	}
	for _, g := range answer.Gaps {
		events = append(events, wire.Event{Kind: wire.KindGap, Gap: g})
	}
	for _, m := range answer.Messages {
		events = append(events, wire.Event{Kind: wire.KindMessage, Message: m})
	}
	for i, e := range events {
		e.Cursor = s.cursor
		if i == len(events)-1 {
			e.Cursor = answer.Cursor
		}
		if err := s.deliver(e); err != nil {
			return err
		}
	}
	s.cursor = answer.Cursor
	return nil
}
