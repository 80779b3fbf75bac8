package conn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"comet/gateway/wire"
	"comet/pubsub"
	"comet/pubsub/membroker"
)

const heartbeat = 20 * time.Second

// held is a stream of channel c that Hold writes to a pipe, which takes no
// byte that is not read, in the memory time of a synctest bubble.
type held struct {
	t      *testing.T
	hub    *pubsub.Hub
	client net.Conn
	server *pipeWriter
	events *wire.Reader
	end    context.CancelCauseFunc // of the request's context
	done   sync.WaitGroup          // Hold
}

// hold runs test with a stream of the given format. The tail has room for 4
// messages.
func hold(t *testing.T, p Portable, format wire.Format, test func(h *held)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := membroker.New(membroker.Options{Size: 1000, TTL: 24 * time.Hour, KeyWindow: time.Minute}).Node()
		h := &held{t: t, hub: pubsub.NewHub(b, pubsub.Options{Tail: pubsub.TailLimits{Messages: 4, Bytes: 1 << 20}})}
		client, server := net.Pipe()
		_ = client.SetReadDeadline(time.Now().Add(2 * time.Hour)) // of bubble time: nothing takes so long by right
		h.client, h.server = client, &pipeWriter{Conn: server, header: make(http.Header)}
		h.events = wire.NewReader(client, format)
		ctx, cancel := context.WithCancelCause(t.Context())
		h.end = cancel
		h.done.Go(func() { h.run(ctx, p, format) })
		defer func() {
			cancel(nil)
			client.Close()
			h.done.Wait()
			h.hub.Close()
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		}()
		test(h)
	})
}

func (h *held) run(ctx context.Context, p Portable, format wire.Format) {
	defer h.server.Close()
	subscriber, err := h.hub.Subscribe(ctx, []pubsub.Start{{Channel: "c"}})
	if err != nil {
		h.t.Error(err)
		return
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	if err != nil {
		h.t.Error(err)
		return
	}
	p.Hold(h.server, r, &Stream{
		Subscriber: subscriber,
		Cursors:    pubsub.NewCursorSet([]string{"c"}, subscriber.StartCursors()),
		Format:     format,
		Node:       "n",
		Ended:      func(CloseReason) {},
	})
}

func (h *held) publish(first, last int) {
	h.t.Helper()
	for i := first; i <= last; i++ {
		if r := h.hub.Publish(h.t.Context(), []pubsub.Draft{{Channel: "c", Data: fmt.Append(nil, i)}})[0]; r.Err != nil {
			h.t.Fatal(r.Err)
		}
	}
}

// want waits for events: ready, bye and its reason, or a message's data.
func (h *held) want(want ...string) {
	h.t.Helper()
	for _, want := range want {
		e, err := h.events.Next()
		if err != nil {
			h.t.Fatalf("%v, want %s", err, want)
		}
		got := "ready"
		switch e.Kind {
		case wire.KindMessage:
			got = strings.Trim(string(e.Message.Data), `"`) // SSERaw has strings alone
		case wire.KindBye:
			got = "bye " + e.Reason
		}
		if got != want {
			h.t.Fatalf("got %s, want %s", got, want)
		}
	}
}

// wantEnd checks that Hold has returned by now, and left no deadline.
func (h *held) wantEnd() {
	h.t.Helper()
	start := time.Now()
	h.done.Wait()
	if took := time.Since(start); took > 0 {
		h.t.Errorf("held for %v more", took)
	}
	if at := h.server.writeDeadline(); !at.IsZero() {
		h.t.Error("the next request on the connection has a write deadline")
	}
}

// pipeWriter is a ResponseWriter whose client is at the other end of a pipe.
type pipeWriter struct {
	net.Conn
	header http.Header

	mu       sync.Mutex // guards deadline
	deadline time.Time
}

func (w *pipeWriter) writeDeadline() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.deadline
}

func (w *pipeWriter) Header() http.Header { return w.header }
func (w *pipeWriter) WriteHeader(int)     {}
func (w *pipeWriter) Flush()              {}

func (w *pipeWriter) SetWriteDeadline(at time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deadline = at
	return w.Conn.SetWriteDeadline(at)
}

var formats = map[string]wire.Format{"SSE": wire.SSE, "SSERaw": wire.SSERaw, "NDJSON": wire.NDJSON}

// A heartbeat comes when there was nothing else for so long, and only then.
func TestHeartbeat(t *testing.T) {
	t.Parallel()
	for name, format := range formats {
		t.Run(name, func(t *testing.T) {
			hold(t, Portable{Heartbeat: heartbeat}, format, func(h *held) {
				h.want("ready")
				time.AfterFunc(heartbeat-1, func() { h.publish(1, 1) })
				h.want("1")
				start := time.Now()
				beat := string(format.AppendHeartbeat(nil))
				for n := range 5 {
					got := make([]byte, len(beat))
					if _, err := io.ReadFull(h.client, got); err != nil || string(got) != beat {
						t.Fatalf("got %q, %v", got, err)
					}
					if at := time.Since(start); at != time.Duration(n+1)*heartbeat {
						t.Errorf("heartbeat %d after %v", n, at)
					}
				}
			})
		})
	}
}

// A stream that is silent has no deadline: over HTTP/2 it would end it.
func TestNoDeadlineWhileSilent(t *testing.T) {
	t.Parallel()
	hold(t, Portable{Heartbeat: time.Hour}, wire.SSE, func(h *held) {
		h.want("ready")
		synctest.Wait()
		if at := h.server.writeDeadline(); !at.IsZero() {
			t.Errorf("it ends in %v", time.Until(at))
		}
	})
}

// A client that takes nothing counts as gone after a while.
func TestClientReadsNothing(t *testing.T) {
	t.Parallel()
	hold(t, Portable{Heartbeat: heartbeat}, wire.SSE, func(h *held) {
		h.want("ready")
		start := time.Now()
		h.publish(1, 100)
		h.done.Wait()
		if took := time.Since(start); took != writeTimeout {
			t.Errorf("held for %v, want %v", took, writeTimeout)
		}
	})
}

// A client that reads again in time sees that it was too slow, if it was.
func TestSlowClient(t *testing.T) {
	t.Parallel()
	hold(t, Portable{Heartbeat: heartbeat}, wire.SSE, func(h *held) {
		h.want("ready")
		h.publish(1, 1)
		synctest.Wait() // now 1 is being written
		h.publish(2, 5)
		h.want("1", "2", "3", "4", "5") // all of it is in the tail
		h.publish(6, 6)
		synctest.Wait()
		h.publish(7, 12)
		h.want("6", "bye slow")
		h.wantEnd()
	})
}

// The comet.bye arrives however long the stream was quiet.
func TestCloseReasonSent(t *testing.T) {
	t.Parallel()
	ends := map[string]func(h *held){
		"the node leaves":  func(h *held) { h.end(Shutdown) },
		"the hub closes":   func(h *held) { h.hub.Close() },
		"both":             func(h *held) { h.hub.Close(); h.end(Shutdown) },
		"a wrapped reason": func(h *held) { h.end(fmt.Errorf("now: %w", Shutdown)) },
	}
	for name, end := range ends {
		for formatName, format := range formats {
			t.Run(name+"/"+formatName, func(t *testing.T) {
				hold(t, Portable{Heartbeat: time.Hour}, format, func(h *held) {
					h.want("ready")
					time.AfterFunc(50*time.Minute, func() { end(h) })
					h.want("bye shutdown")
					h.wantEnd()
				})
			})
		}
	}
}

// A client that goes is not written to any more.
func TestClientDisconnects(t *testing.T) {
	t.Parallel()
	hold(t, Portable{Heartbeat: heartbeat}, wire.SSE, func(h *held) {
		h.want("ready")
		h.end(context.Canceled)
		if e, err := h.events.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("got %+v, %v", e, err)
		}
		h.wantEnd()
	})
}

// A poll whose place has left the tail is answered with nothing: the next one
// reads the log.
func TestPollBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membroker.New(membroker.Options{Size: 100, TTL: time.Hour, KeyWindow: time.Minute}).Node()
		hub := pubsub.NewHub(broker, pubsub.Options{Tail: pubsub.TailLimits{Messages: 2, Bytes: 1 << 20}})
		defer broker.Close()
		defer hub.Close()
		subscriber, err := hub.Subscribe(t.Context(), []pubsub.Start{{Channel: "c"}})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 9 {
			if r := hub.Publish(t.Context(), []pubsub.Draft{{Channel: "c", Data: fmt.Append(nil, i)}})[0]; r.Err != nil {
				t.Fatal(r.Err)
			}
		}
		synctest.Wait()
		w := httptest.NewRecorder()
		cursors := pubsub.NewCursorSet([]string{"c"}, subscriber.StartCursors())
		want := cursors.String()
		err = Portable{}.HoldPoll(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil), &Poll{
			Subscriber: subscriber, Cursors: cursors, Wait: time.Minute, Ended: func(CloseReason) {},
		})
		if p, parseErr := wire.ParsePoll(w.Body.Bytes()); err != nil || parseErr != nil || p.Cursor != want || len(p.Messages) > 0 {
			t.Errorf("%v, %s", err, w.Body)
		}
	})
}
