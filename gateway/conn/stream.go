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
