package conn

import (
	"context"
	"errors"
	"net/http"
	"time"

	"comet/gateway/wire"
	"comet/pubsub"
)

// Poll is one long-poll to hold.
type Poll struct {
	Subscriber *pubsub.Subscriber // the holder closes it
	Cursors    *pubsub.CursorSet  // the subscriber's positions
	Wait       time.Duration      // at most, for an item to come
	Session    Session
	Replay     *Replay           // nil: the log is not needed
	Ended      func(CloseReason) // called once, when the poll has ended
	NextPoll   FastFunc          // admits the next polls on the connection
}

// end closes what the poll holds.
func (q *Poll) end(reason CloseReason) {
	q.Subscriber.Close()
	q.Ended(reason)
}

// pollItems is the most items in one answer; the next poll gets the rest.
const pollItems = 1000

// next waits for items until q.Wait is over, and returns how the poll ends. These are
// no errors: no items; the end of the session or node; and a position that has left its
// tail, because the next poll reads the log.
func (q *Poll) next(ctx context.Context) (items []pubsub.Delivery, reason CloseReason, err error) {
	items, err = q.Subscriber.Poll(ctx, pollItems, q.Wait)
	switch {
	case err == nil:
		return items, Answered, nil
	case errors.Is(err, pubsub.ErrSlow):
		return nil, Slow, nil
	case errors.As(err, &reason):
		return nil, reason, nil
	}
	return nil, Gone, err
}

// answer encodes an answer with items and moves the cursors.
func answer(cursors *pubsub.CursorSet, items []pubsub.Delivery) []byte {
	return answerWith(wire.Poll{}, cursors, items)
}

// answerWith is answer with the other members of p.
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

// perChannelCursors encodes a cursor per channel for a client that sent one per channel;
// nil for other clients.
func perChannelCursors(cursors *pubsub.CursorSet) []byte {
	if !cursors.PerChannel {
		return nil
	}
	return wire.AppendCursors(nil, cursors.All())
}

// SetAnswerHeader sets the header of an answer, without its length. Answers must not be
// cached, because the next one differs.
func SetAnswerHeader(h http.Header, contentType string) {
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
}
