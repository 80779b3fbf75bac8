package conn

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"comet/gateway/wire"
	"comet/pubsub"
)

// Portable holds a stream with the request's own goroutine and ResponseWriter,
// on every system and every version of HTTP.
type Portable struct {
	Heartbeat time.Duration // the interval of heartbeats on a quiet stream
	// Written, if not nil, is called with a message with a Trace when it was written to
	// a subscriber: at least with the first one of many. It must not block. Set it
	// before anything is held.
	Written func(*pubsub.Message)

	counters *allCounters // nil: nothing is counted
}

// reportWritten calls Written for the messages with a Trace.
func (p *Portable) reportWritten(items []pubsub.Delivery) {
	if p.Written == nil {
		return
	}
	for i := range items {
		if m := items[i].Message; m != nil && m.Trace != "" {
			p.Written(m)
		}
	}
}

// Hold blocks until the client has gone, r's context ends, or the subscriber is too
// slow.
func (p Portable) Hold(w http.ResponseWriter, r *http.Request, s *Stream) {
	defer s.end()
	s.counters = p.counters.next()
	out := http.NewResponseController(w)
	_ = out.SetWriteDeadline(time.Time{}) // the server's own is for short answers
	setStreamHeader(w.Header(), s.Format, s.Coding)
	w.WriteHeader(http.StatusOK)
	ctx, cancel := s.Session.withDeadline(r.Context())
	defer cancel()
	defer out.SetWriteDeadline(time.Time{}) // shortenDeadlineAtEnd may have set one
	defer shortenDeadlineAtEnd(ctx, out.SetWriteDeadline)()
	write := func(b []byte, final bool) error {
		b = s.encode(b, final)
		_ = setWriteDeadline(ctx, out.SetWriteDeadline) // a test's recorder has none
		defer out.SetWriteDeadline(time.Time{})         // over HTTP/2 it would end a stream that is only silent
		n, err := w.Write(b)
		s.counters.addBytes(TransportOf(s.Format), n)
		if err != nil {
			return err
		}
		return out.Flush()
	}
	if last := s.pump(ctx, &p, write, func() bool { return false }); len(last) > 0 {
		_ = write(last, true) // without it the client still sees the stream end
	}
}

// HoldPoll waits for items and answers. If it returns an error, nothing was written.
func (p Portable) HoldPoll(w http.ResponseWriter, r *http.Request, q *Poll) error {
	for q != nil {
		var err error
		if q, err = p.holdPoll(w, r, q); err != nil {
			return err
		}
	}
	return nil
}

// holdPoll is HoldPoll until the Answerer has the poll wait again, for next.
func (p Portable) holdPoll(w http.ResponseWriter, r *http.Request, q *Poll) (next *Poll, err error) {
	reason, since := Gone, time.Now()
	defer func() { q.end(reason) }()
	out := http.NewResponseController(w)
	_ = out.SetWriteDeadline(time.Time{}) // the server's own is for short answers
	ctx, cancel := q.Session.withDeadline(r.Context())
	defer cancel()
	if allLive(q.Subscriber) {
		q.Replay.End()
	}
	waiting, interrupt := context.WithCancelCause(ctx)
	defer interrupt(nil)
	q.Interrupt.notify(func() { interrupt(errInterrupted) })
	defer q.Interrupt.notify(nil)
	var items []pubsub.Delivery
	items, reason, err = q.next(waiting)
	if err != nil {
		return nil, err
	}
	if len(items) == 0 && reason == Answered {
		passFiltered(q.Cursors, q.Subscriber)
	}
	body, next := q.body(wire.Poll{More: q.Subscriber.Truncated()}, items, reason)
	if next != nil {
		return next, nil
	}
	_ = out.SetWriteDeadline(time.Now().Add(writeTimeout))
	defer shortenDeadlineAtEnd(ctx, out.SetWriteDeadline)()
	pending, counters := receiptOf(items, since, &p), p.counters.next()
	written := body != nil && q.write(w, body, counters)
	if written {
		pending.count(counters, q.transport(), &p)
	}
	if q.Answerer != nil {
		q.Answerer.Written(written)
	}
	if body == nil {
		panic(http.ErrAbortHandler) // which closes the connection
	}
	return nil, nil
}

// write answers with body, and reports whether the client is still there.
func (q *Poll) write(w http.ResponseWriter, body []byte, c *writeCounters) bool {
	SetAnswerHeader(w.Header(), q.contentType())
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	n, err := w.Write(body)
	c.addBytes(q.transport(), n)
	return err == nil
}

// Drain does nothing: what a Portable holds ends with its request's context. Parker
// overrides it, and Revoke.
func (p Portable) Drain(time.Duration) {}

// Revoke does nothing.
func (p Portable) Revoke(string, time.Time, CloseReason) {}
