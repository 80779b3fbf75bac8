package conn

import (
	"context"
	"errors"
	"net/http"
	"time"

	"comet/pubsub"
)

// Portable holds a stream with the request's own goroutine and ResponseWriter,
// on every system and every version of HTTP.
type Portable struct {
	Heartbeat time.Duration // a sign of life after so long without anything else
}

// writeTimeout is how long a client may take nothing before it counts as gone.
const writeTimeout = 30 * time.Second

// writeItems is how many items at most go out in one write.
const writeItems = 256

var errIdle = errors.New("nothing to send")

// Hold blocks until the client has gone, r's context ends, or the subscriber
// was too slow.
func (p Portable) Hold(w http.ResponseWriter, r *http.Request, s *Stream) {
	out := http.NewResponseController(w)
	defer out.SetWriteDeadline(time.Time{}) // the connection may serve another request
	s.setHeader(w.Header())
	w.WriteHeader(http.StatusOK)
	b := s.appendReady(nil)
	for {
		if err := send(w, out, b); err != nil {
			return
		}
		items, err := p.next(r.Context(), s)
		switch {
		case errors.Is(err, errIdle):
			b = s.Format.AppendHeartbeat(b[:0])
		case err != nil:
			_ = send(w, out, s.appendBye(b[:0], err)) // a client that has gone misses nothing
			return
		default:
			b = s.appendItems(b[:0], items)
		}
	}
}

// send writes b, which the client must have taken within writeTimeout.
func send(w http.ResponseWriter, out *http.ResponseController, b []byte) error {
	_ = out.SetWriteDeadline(time.Now().Add(writeTimeout)) // a test's recorder has none
	if _, err := w.Write(b); err != nil {
		return err
	}
	return out.Flush()
}

// next waits for items, or for the time of a heartbeat: errIdle.
func (p Portable) next(ctx context.Context, s *Stream) ([]pubsub.Delivery, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, p.Heartbeat, errIdle)
	defer cancel()
	return s.Subscriber.Next(ctx, writeItems)
}
