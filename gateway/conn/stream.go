package conn

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"comet/gateway/wire"
	"comet/pubsub"
)

// Stream is one event stream to hold.
type Stream struct {
	Subscriber *pubsub.Subscriber // the holder closes it
	Cursors    *pubsub.CursorSet  // the subscriber's positions; they move with what is sent
	Several    bool               // more than one channel, or a pattern
	Format     wire.Format
	Coding     Coding
	Skip       string // the sender whose messages are left out; "": none are
	Node       string
	Session    Session
	Replay     *Replay           // ends when the stream has all of the log; nil: it does already
	Ended      func(CloseReason) // called once, when the stream has ended

	reason   CloseReason    // that was sent; empty if the client has gone
	counters *writeCounters // nil: nothing is counted
	gzip     ownGzip        // with Coding Gzip, until it is parked
}

// end closes what the stream holds.
func (s *Stream) end() {
	s.Subscriber.Close()
	s.Ended(cmp.Or(s.reason, Gone))
}

// pumpItems is the most items in one write.
const pumpItems = 256

// pump writes what comes for the subscriber until write fails, the stream ends, or
// parked reports that the connection is parked. If the stream ends, last is left to
// write; otherwise it is nil.
func (s *Stream) pump(ctx context.Context, p *Portable, write func(b []byte, final bool) error, parked func() bool) (last []byte) {
	b := s.Format.AppendReady(nil, s.Node, s.Cursors.Append(nil), perChannelCursors(s.Cursors), s.Subscriber.Truncated())
	var pending receipt // for the items in b
	since := time.Now()
	for {
		if write(b, false) != nil {
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
		leaveOut(items, s.Skip)
		pending = receiptOf(items, since, p)
		if err != nil {
			return s.appendBye(b[:0], err)
		}
		b = s.appendItems(b[:0], items)
		switch {
		case len(b) > 0:
		case len(items) == 0 && passFiltered(s.Cursors, s.Subscriber):
			b = s.Format.AppendCursor(b, s.Cursors.Append(nil))
		default:
			b = s.Format.AppendHeartbeat(b)
		}
	}
}

// passFiltered moves the cursors of patterns past the messages that were not for the
// subscriber, which has nothing else to return. It reports whether there were any.
func passFiltered(cursors *pubsub.CursorSet, s *pubsub.Subscriber) (moved bool) {
	for i := range s.Channels() {
		if s.Filter(i) != nil && cursors.Cursor(i) != s.Position(i) {
			cursors.Set(i, s.Position(i))
			moved = true
		}
	}
	return moved
}

// updateReplay notes that the client has received something, and ends the replay if it
// has all of the log.
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

// allLive reports whether a subscriber has all of the log, in all channels.
func allLive(s *pubsub.Subscriber) bool {
	for i := range s.Channels() {
		if _, _, ok := s.TailOffset(i); !ok {
			return false
		}
	}
	return true
}

// keepBytes is the largest buffer that a stream keeps while it waits.
const keepBytes = 16 << 10

// encodedSize is about the encoded size of items, so that a buffer for them does not
// grow to twice that.
func encodedSize(items []pubsub.Delivery) (n int) {
	for i := range items {
		n += 256
		if m := items[i].Message; m != nil {
			n += len(m.Data) + len(m.Channel) + len(m.Type)
		}
	}
	return n
}

// appendItems appends items as events, and moves the cursors.
func (s *Stream) appendItems(b []byte, items []pubsub.Delivery) []byte {
	var cursor []byte
	b = slices.Grow(b, encodedSize(items))
	for i := range items {
		b, cursor = appendDelivery(b, s.Format, &items[i], s.Cursors, s.Several, cursor[:0])
	}
	return b
}

// leaveOut removes the messages of a sender from items, which still move the cursors;
// none if sender is "".
func leaveOut(items []pubsub.Delivery, sender string) {
	if sender == "" {
		return
	}
	for i := range items {
		if m := items[i].Message; m != nil && m.From == sender {
			items[i].Message = nil
		}
	}
}

// isEmpty reports whether items have neither messages nor gaps.
func isEmpty(items []pubsub.Delivery) bool {
	return !slices.ContainsFunc(items, func(it pubsub.Delivery) bool { return it.Message != nil || it.Gap != nil })
}

// appendDelivery appends one item as an event, and moves its channel's cursor. It also
// returns scratch, for the next call.
func appendDelivery(b []byte, f wire.Format, it *pubsub.Delivery, cursors *pubsub.CursorSet, several bool, scratch []byte) (events, cursor []byte) {
	cursors.Set(it.Channel, it.After)
	cursor = cursors.Append(scratch)
	var channelCursor []byte
	if cursors.PerChannel && it.Gap != nil {
		channelCursor = wire.AppendCursors(nil, func(yield func(string, *pubsub.CursorSet) bool) { yield(cursors.Part(it.Channel)) })
	}
	return appendItem(b, f, &it.Item, cursor, channelCursor, several), cursor
}

// appendItem appends one item as an event. cursor is the subscriber's after the item;
// channelCursor, for a gap, the one of its channel.
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

// appendBye appends the comet.bye for the error that ended the stream; nothing if the
// client has gone.
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

// writeTimeout is how long a client may read nothing before its connection is closed.
const writeTimeout = 30 * time.Second

// endTimeout is how long a write may take after its stream has ended, and the write of
// the comet.bye.
const endTimeout = time.Second

// setWriteDeadline sets the deadline for the next write of a stream that ends with ctx.
func setWriteDeadline(ctx context.Context, set func(time.Time) error) error {
	err := set(time.Now().Add(writeTimeout))
	if ctx.Err() != nil { // also if shortenDeadlineAtEnd has just done so
		err = set(time.Now().Add(endTimeout))
	}
	return err
}

// shortenDeadlineAtEnd sets a deadline of endTimeout for the write under way when ctx
// ends. After stop has returned it does not call set.
func shortenDeadlineAtEnd(ctx context.Context, set func(time.Time) error) (stop func()) {
	ended := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(ended)
		_ = set(time.Now().Add(endTimeout)) // an error leaves the write its own deadline
	})
	return func() {
		if !cancel() {
			<-ended
		}
	}
}
