package conn

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"comet/gateway/wire"
	"comet/pubsub"
)

// Poll is one long-poll to hold.
type Poll struct {
	Subscriber *pubsub.Subscriber // the holder closes it
	Cursors    *pubsub.CursorSet  // the subscriber's positions
	Wait       time.Duration      // at most, for an item to come
	Skip       string             // the sender whose messages are left out; "": none are
	Session    Session
	Replay     *Replay           // nil: the log is not needed
	Ended      func(CloseReason) // called once, when the poll has ended
	NextPoll   FastFunc          // admits the next polls on the connection

	Answerer    Answerer   // of another protocol; nil: the answer is a wire.Poll
	ContentType string     // of the answer; default application/json
	BodyRead    bool       // the request had a body, and all of it was read
	Interrupt   *Interrupt // nil: the poll ends by itself
}

// Answerer makes the answers to polls of a protocol other than Comet's own. The holder
// calls it for one poll at a time, and its methods must not block.
type Answerer interface {
	// Transport is what the polls count as.
	Transport() Transport
	// Answer makes the body of the answer to a poll that ends for a reason, with items or
	// none (some may have neither a message nor a gap, and only move the cursor), and calls reply with it, once: now or later, from any goroutine. Instead of a
	// body it may have the connection wait again, for what another Poll says: its
	// Subscriber, Cursors, Wait, Ended and Interrupt count. Without both the connection is
	// closed without an answer.
	Answer(items []pubsub.Delivery, reason CloseReason, reply func(body []byte, again *Poll))
	// Written is called once after a reply without another Poll. ok is false if the
	// client's connection was closed before it took the answer.
	Written(ok bool)
}

// transport is what the poll counts as.
func (q *Poll) transport() Transport {
	if q.Answerer != nil {
		return q.Answerer.Transport()
	}
	return OverPoll
}

// Interrupt ends a poll before anything has come for it. The zero value is ready for
// use, and belongs to one poll.
type Interrupt struct {
	mu    sync.Mutex
	fired bool
	end   func() // set by the holder
}

// Fire makes the holder answer the poll at once, with no items unless some have come. It
// does not wait. It may be called at any time, also before the poll is held and after it
// was answered.
func (i *Interrupt) Fire() {
	i.mu.Lock()
	end := i.end
	i.fired, i.end = true, nil
	i.mu.Unlock()
	if end != nil {
		end()
	}
}

// notify makes Fire call end, once; it calls end now if Fire was called before. With nil
// Fire does nothing.
func (i *Interrupt) notify(end func()) {
	if i == nil {
		return
	}
	i.mu.Lock()
	i.end = end
	fired := i.fired && end != nil
	i.mu.Unlock()
	if fired {
		end()
	}
}

// end closes what the poll holds.
func (q *Poll) end(reason CloseReason) {
	q.Subscriber.Close()
	q.Ended(reason)
}

// pollItems is the most items in one answer; the next poll gets the rest.
const pollItems = 1000

// next waits for items until q.Wait is over, and returns how the poll ends. Messages that
// are left out only move the cursors. These are no errors: no items; the end of the session
// or node; and a position that has left its tail, because the next poll reads the log.
func (q *Poll) next(ctx context.Context) (items []pubsub.Delivery, reason CloseReason, err error) {
	end := time.Now().Add(q.Wait)
	for {
		items, err = q.Subscriber.Poll(ctx, pollItems, time.Until(end))
		if err != nil || len(items) == 0 {
			break
		}
		if leaveOut(items, q.Skip); !isEmpty(items) {
			break
		}
		moveCursors(q.Cursors, items)
		q.Replay.Progress()
	}
	switch {
	case err == nil:
		return items, Answered, nil
	case errors.Is(err, pubsub.ErrSlow):
		return nil, Slow, nil
	case errors.Is(err, errInterrupted):
		return nil, Answered, nil
	case errors.As(err, &reason):
		return nil, reason, nil
	}
	return nil, Gone, err
}

// errInterrupted is the cause of the end of a poll's context by its Interrupt.
var errInterrupted = errors.New("the poll was interrupted")

// body returns the answer to q, or what to wait for. It waits for an Answerer, which
// bounds the time itself.
func (q *Poll) body(p wire.Poll, items []pubsub.Delivery, reason CloseReason) (body []byte, again *Poll) {
	if q.Answerer == nil {
		return answerWith(p, q.Cursors, items), nil
	}
	made := make(chan struct{})
	q.Answerer.Answer(items, reason, func(b []byte, next *Poll) {
		body, again = b, next
		close(made)
	})
	<-made
	return body, again
}

// moveCursors moves the cursors past items that have neither messages nor gaps.
func moveCursors(cursors *pubsub.CursorSet, items []pubsub.Delivery) {
	for i := range items {
		cursors.Set(items[i].Channel, items[i].After)
	}
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

// contentType is that of q's answer.
func (q *Poll) contentType() string { return cmp.Or(q.ContentType, "application/json") }

// SetAnswerHeader sets the header of an answer, without its length. Answers must not be
// cached, because the next one differs.
func SetAnswerHeader(h http.Header, contentType string) {
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
}
