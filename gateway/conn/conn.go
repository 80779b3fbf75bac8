// Package conn holds event streams: it writes to a connection what comes for
// its subscriber, for as long as both are there.
package conn

import (
	"errors"
	"net/http"
	"time"

	"comet/gateway/wire"
	"comet/pubsub"
)

// Stream is one event stream to be held. The subscriber stays the caller's to
// close.
type Stream struct {
	Subscriber *pubsub.Subscriber
	Cursors    *pubsub.CursorSet // where the subscriber is; moves with what is sent
	Several    bool              // more than one channel
	Format     wire.Format
	Node       string
	Leaving    error // the cause of the request's context when the node leaves
}

// setHeader makes the answer one that passes proxies unbuffered
// (X-Accel-Buffering is nginx's, https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering).
func (s *Stream) setHeader(h http.Header) {
	h.Set("Content-Type", s.Format.ContentType())
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	h.Set("X-Content-Type-Options", "nosniff")
}

func (s *Stream) appendReady(b []byte) []byte {
	return s.Format.AppendReady(b, s.Node, s.Cursors.Append(nil))
}

// appendItems adds what came, and moves the cursors.
func (s *Stream) appendItems(b []byte, items []pubsub.Delivery) []byte {
	var cursor []byte
	for _, it := range items {
		s.Cursors.Set(it.Channel, it.After)
		switch {
		case it.Gap != nil:
			cursor = s.Cursors.Append(cursor[:0])
			b = s.Format.AppendGap(b, it.Gap, cursor)
		case it.Message.Ephemeral():
			b = s.Format.AppendMessage(b, it.Message, nil, s.Several)
		default:
			cursor = s.Cursors.Append(cursor[:0])
			b = s.Format.AppendMessage(b, it.Message, cursor, s.Several)
		}
	}
	return b
}

// Reasons of a comet.bye, and when to come back.
const (
	reasonShutdown = "shutdown"
	reasonSlow     = "slow"
	retryBye       = time.Second
)

// appendBye adds the goodbye that goes with the error that ended the stream;
// nothing if the client is the one who went.
func (s *Stream) appendBye(b []byte, err error) []byte {
	switch {
	case errors.Is(err, pubsub.ErrSlow):
		return s.Format.AppendBye(b, reasonSlow, retryBye)
	case errors.Is(err, pubsub.ErrClosed), errors.Is(err, s.Leaving):
		return s.Format.AppendBye(b, reasonShutdown, retryBye)
	}
	return b
}
