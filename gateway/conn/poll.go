package conn

import (
	"context"
	"errors"
	"net/http"
	"time"

	"comet/gateway/wire"
	"comet/pubsub"
)

// Poll is one long-poll to be held.
type Poll struct {
	Subscriber *pubsub.Subscriber // the holder closes it
	Cursors    *pubsub.CursorSet  // where the subscriber is
	Wait       time.Duration      // how long for something to come
	Session    Session
	Replay     *Replay           // nil: the log is not needed
	Ended      func(CloseReason) // called once, when the poll is over, with the reason
	NextPoll   FastFunc
}

func (q *Poll) end(why CloseReason) {
	q.Subscriber.Close()
	q.Ended(why)
}

// pollItems bounds the items of one answer; the next poll gets the rest.
const pollItems = 1000

// next waits for items for as long as the poll does; none is no error, and
// neither is a CloseReason, nor a place that has left the tail: the next poll reads the
// log. why is how the poll ends.
func (q *Poll) next(ctx context.Context) (items []pubsub.Delivery, why CloseReason, err error) {
	items, err = q.Subscriber.Poll(ctx, pollItems, q.Wait)
	switch {
	case err == nil:
		return items, Answered, nil
	case errors.Is(err, pubsub.ErrSlow):
		return nil, Slow, nil
	case errors.As(err, &why):
		return nil, why, nil
	}
	return nil, Gone, err
}

// answer is the body that brings items, and moves the cursors.
func answer(cursors *pubsub.CursorSet, items []pubsub.Delivery) []byte {
	return answerWith(wire.Poll{}, cursors, items)
}

// answerWith is answer with what p has besides.
func answerWith(p wire.Poll, cursors *pubsub.CursorSet, items []pubsub.Delivery) []byte {
	for _, it := range items {
		cursors.Set(it.Channel, it.After)
		switch {
		case it.Gap != nil:
			p.Gaps = append(p.Gaps, it.Gap)
		case it.Message != nil:
			p.Messages = append(p.Messages, it.Message)
		}
	}
	p.Cursor, p.Cursors = cursors.String(), perChannelCursors(cursors)
	return append(p.AppendJSON(make([]byte, 0, encodedSize(items)+256)), '\n')
}

// perChannelCursors are the channels' own cursors for a client that came with its own.
func perChannelCursors(cursors *pubsub.CursorSet) []byte {
	if !cursors.Apart {
		return nil
	}
	return wire.AppendCursors(nil, cursors.All())
}

// SetAnswerHeader makes the header of a whole answer, but for its length. None
// may be cached: the next one differs.
func SetAnswerHeader(h http.Header, contentType string) {
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
}
