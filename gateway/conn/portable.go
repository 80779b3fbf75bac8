package conn

import (
	"net/http"
	"strconv"
	"time"

	"comet/pubsub"
)

// Portable holds a stream with the request's own goroutine and ResponseWriter,
// on every system and every version of HTTP.
type Portable struct {
	Heartbeat time.Duration // a sign of life after so long without anything else
	// Written is told of messages with a Trace once they are written to a
	// subscriber; of one that goes to many at least the first time. It must not
	// wait. Set it before anything is held. Nil: nobody wants to know.
	Written func(*pubsub.Message)
}

// wrote tells Written of what was written to a subscriber.
func (p *Portable) wrote(items []pubsub.Delivery) {
	if p.Written == nil {
		return
	}
	for i := range items {
		if m := items[i].Message; m != nil && m.Trace != "" {
			p.Written(m)
		}
	}
}

// Hold blocks until the client has gone, r's context ends, or the subscriber
// was too slow.
func (p Portable) Hold(w http.ResponseWriter, r *http.Request, s *Stream) {
	defer s.end()
	out := http.NewResponseController(w)
	_ = out.SetWriteDeadline(time.Time{}) // the server's own is for short answers
	setStreamHeader(w.Header(), s.Format)
	w.WriteHeader(http.StatusOK)
	write := func(b []byte) error {
		_ = out.SetWriteDeadline(time.Now().Add(writeTimeout)) // a test's recorder has none
		defer out.SetWriteDeadline(time.Time{})                // over HTTP/2 it would end a stream that is only silent
		if _, err := w.Write(b); err != nil {
			return err
		}
		return out.Flush()
	}
	ctx, cancel := s.Session.bounded(r.Context())
	defer cancel()
	if bye := s.pump(ctx, &p, write, func() bool { return false }); len(bye) > 0 {
		_ = write(bye) // a client that has gone misses nothing
	}
}

// HoldPoll waits for what q waits for and answers. An error comes before
// anything was written.
func (p Portable) HoldPoll(w http.ResponseWriter, r *http.Request, q *Poll) error {
	defer q.end()
	out := http.NewResponseController(w)
	_ = out.SetWriteDeadline(time.Time{}) // the server's own is for short answers
	ctx, cancel := q.Session.bounded(r.Context())
	defer cancel()
	items, err := q.next(ctx)
	_ = out.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err != nil {
		return err
	}
	if q.write(w, items) == nil {
		p.wrote(items)
	}
	return nil
}

// write answers with items.
func (q *Poll) write(w http.ResponseWriter, items []pubsub.Delivery) error {
	body := answer(q.Cursors, items)
	SetAnswerHeader(w.Header(), "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, err := w.Write(body) // an error means that the client has gone
	return err
}

// Leave and Evict are for Parker: what a Portable holds ends with its request.
func (p Portable) Leave(time.Duration) {}

// Evict does nothing.
func (p Portable) Evict(string, time.Time, Bye) {}
