// Package conn holds event streams: it writes to a connection what comes for
// its subscriber, for as long as both are there.
//
// On Linux a stream over HTTP/1.1 is parked (Parker): it keeps no goroutine, no
// timer and no buffer, just an entry in a poller and a place in a feed. A feed
// is a channel's newest messages in wire format, encoded once; a few writers
// walk their streams when it has grown. Everything else is held by the
// request's own goroutine (Portable).
package conn

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
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

// FastFunc reads the next request on a poll's connection, without waiting, and lets
// another poll in. Anything else (ok is false) goes the long way, through the
// server. A nil FastFunc lets nothing in.
type FastFunc func(r *http.Request) (next FastResult, ok bool)

// FastPath lets in who comes with a new connection, where nothing has to be waited
// for. Its functions are called one at a time.
type FastPath struct {
	Header http.Header // of an answer, unless FastResult has another
	Node   string      // as Stream.Node
	Stream FastFunc    // of streams
	Poll   FastFunc    // of polls that wait, and of those after them
}

// FastResult is where a stream or poll that is let in goes on, in channels that are
// open.
type FastResult struct {
	Cursors   *pubsub.CursorSet
	Channels  []*pubsub.Channel // the taker's to Release
	Positions []uint64          // in each channel's tail
	Format    wire.Format       // of a stream
	Wait      time.Duration     // of a poll, more than 0
	Session   Session
	Trusted   bool              // a back end's: its connection does not count for its address
	Header    http.Header       // of the answer; nil: the FastPath's
	Admit     func() bool       // called once its place is certain; false: it goes elsewhere; nil: it is admitted
	Began     func()            // called when it begins; nil: nobody wants to know
	Ended     func(CloseReason) // called once, when it is over, with the reason; FellBack: it never began
}

// Release lets go of the channels.
func (n *FastResult) Release() {
	for _, c := range n.Channels {
		c.Release()
	}
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

// Stream is one event stream to be held.
type Stream struct {
	Subscriber *pubsub.Subscriber // the holder closes it
	Cursors    *pubsub.CursorSet  // where the subscriber is; moves with what is sent
	Several    bool               // more than one channel
	Format     wire.Format
	Node       string
	Session    Session
	Replay     *Replay           // ends when the stream is live; nil: it is from the beginning
	Ended      func(CloseReason) // called once, when the stream is over, with the reason

	reason   CloseReason    // that was said; none if the client went
	counters *writeCounters // of what is written; nil: nobody counts
}

// end closes what the stream holds.
func (s *Stream) end() {
	s.Subscriber.Close()
	s.Ended(cmp.Or(s.reason, Gone))
}

// setStreamHeader makes the answer one that passes proxies unbuffered
// (X-Accel-Buffering is nginx's, https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering)
// and uncompressed: express's compression, for one, holds back what it has not
// yet compressed, unless no-transform (RFC 9111 section 5.2.2.6) is there.
func setStreamHeader(h http.Header, f wire.Format) {
	h.Set("Content-Type", f.ContentType())
	h.Set("Cache-Control", "no-store, no-transform")
	h.Set("X-Accel-Buffering", "no")
	h.Set("X-Content-Type-Options", "nosniff")
}

// pumpItems is how many items at most go out in one write.
const pumpItems = 256

// pump writes what comes for the subscriber, with the caller's goroutine,
// until settled says that another way goes on, write fails (nil) or the stream
// is over: then bye is what is left to write.
func (s *Stream) pump(ctx context.Context, p *Portable, write func([]byte) error, parked func() bool) (last []byte) {
	b := s.Format.AppendReady(nil, s.Node, s.Cursors.Append(nil), perChannelCursors(s.Cursors), s.Subscriber.Cut())
	var pending receipt // of b
	since := time.Now()
	for {
		if write(b) != nil {
			return nil
		}
		pending.count(s.counters, TransportOf(s.Format), p)
		s.updateReplay()
		if parked() {
			return nil
		}
		if cap(b) > keepBytes {
			b = nil
		}
		items, err := s.Subscriber.Poll(ctx, pumpItems, p.Heartbeat)
		pending = receiptOf(items, since, p)
		switch {
		case err != nil:
			return s.appendBye(b[:0], err)
		case len(items) == 0:
			b = s.Format.AppendHeartbeat(b[:0])
		default:
			b = s.appendItems(b[:0], items)
		}
	}
}

// updateReplay notes that the client has taken something, or that it has all.
func (s *Stream) updateReplay() {
	if s.Replay == nil {
		return
	}
	if !allLive(s.Subscriber) {
		s.Replay.Progress()
		return
	}
	s.Replay.End()
	s.Replay = nil
}

// allLive reports whether a subscriber has all that the log has.
func allLive(s *pubsub.Subscriber) bool {
	for i := range s.Channels() {
		if _, _, ok := s.Place(i); !ok {
			return false
		}
	}
	return true
}

// keepBytes is the largest buffer that a stream keeps while it waits.
const keepBytes = 16 << 10

// encodedSize is about how many bytes items take when they are encoded, so that
// a buffer for them need not grow to twice that.
func encodedSize(items []pubsub.Delivery) (n int) {
	for i := range items {
		n += 256
		if m := items[i].Message; m != nil {
			n += len(m.Data) + len(m.Channel) + len(m.Type)
		}
	}
	return n
}

// appendItems adds what came, and moves the cursors.
func (s *Stream) appendItems(b []byte, items []pubsub.Delivery) []byte {
	var cursor []byte
	b = slices.Grow(b, encodedSize(items))
	for i := range items {
		b, cursor = appendDelivery(b, s.Format, &items[i], s.Cursors, s.Several, cursor[:0])
	}
	return b
}

// appendDelivery adds one item as an event, and moves its channel's cursor. It
// returns scratch too, to be used again.
func appendDelivery(b []byte, f wire.Format, it *pubsub.Delivery, cursors *pubsub.CursorSet, several bool, scratch []byte) (events, cursor []byte) {
	cursors.Set(it.Channel, it.After)
	cursor = cursors.Append(scratch)
	var channelCursor []byte
	if cursors.Apart && it.Gap != nil {
		channelCursor = wire.AppendCursors(nil, func(yield func(string, pubsub.Cursor) bool) { yield(cursors.Cursor(it.Channel)) })
	}
	return appendItem(b, f, &it.Item, cursor, channelCursor, several), cursor
}

// appendItem adds one item as an event; cursor is where the subscriber is
// behind it, own what a gap tells of its channel's.
func appendItem(b []byte, f wire.Format, it *pubsub.Item, cursor, channelCursor []byte, several bool) []byte {
	switch {
	case it.Gap != nil:
		return f.AppendGap(b, it.Gap, cursor, channelCursor)
	case it.Message == nil:
		return b
	case it.Message.Ephemeral():
		return f.AppendMessage(b, it.Message, nil, several)
	}
	return f.AppendMessage(b, it.Message, cursor, several)
}

// appendBye adds the goodbye that goes with the error that ended the stream;
// nothing if the client is the one who went.
func (s *Stream) appendBye(b []byte, err error) []byte {
	var reason CloseReason
	switch {
	case errors.Is(err, pubsub.ErrSlow):
		reason = Slow
	case errors.Is(err, pubsub.ErrClosed):
		reason = Shutdown
	case !errors.As(err, &reason):
		return b
	}
	s.reason = reason
	return s.Format.AppendBye(b, string(reason), reconnectDelay())
}

// writeTimeout is how long a client may take nothing before it counts as gone.
const writeTimeout = 30 * time.Second

// endTimeout is how long a client whose stream has to end may take for what is
// being written, and for the reason.
const endTimeout = time.Second

// setWriteDeadline is for a write of a stream that ends with ctx.
func setWriteDeadline(ctx context.Context, set func(time.Time) error) error {
	err := set(time.Now().Add(writeTimeout))
	if ctx.Err() != nil { // also if hurryAtEnd has just set a nearer one
		err = set(time.Now().Add(endTimeout))
	}
	return err
}

// shortenDeadlineAtEnd has a write that is under way when ctx ends not outlive it by more
// than endTimeout. Call stop before set may no longer be called.
func shortenDeadlineAtEnd(ctx context.Context, set func(time.Time) error) (stop func()) {
	ended := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(ended)
		_ = set(time.Now().Add(endTimeout)) // else the write has ended, or its own deadline stays
	})
	return func() {
		if !cancel() {
			<-ended
		}
	}
}
