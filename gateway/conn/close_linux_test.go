package conn

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"comet/gateway/wire"
	"comet/pubsub"
)

// A gate's wait ends with its context or when it is empty, and an operation that comes later
// does not get in.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		for range 2 {
			if !g.enter() {
				t.Fatal("a new gate is closed")
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		time.AfterFunc(time.Minute, g.leave)
		time.AfterFunc(time.Hour, g.leave)
		if left := g.close(ctx); left != 2 || time.Since(began) != time.Second {
			t.Errorf("%d left after %v, want 2 after 1s", left, time.Since(began))
		}
		if g.enter() {
			t.Error("a closed gate is open")
		}
		time.Sleep(2 * time.Hour)

		var h gate
		h.enter()
		time.AfterFunc(time.Second, h.leave)
		began = time.Now()
		if left := h.close(t.Context()); left != 0 || time.Since(began) != time.Second {
			t.Errorf("%d left after %v, want 0 after 1s", left, time.Since(began))
		}
	})
}

// Close ends with its context although a stream is still held. A connection that would be
// parked after it is closed, and not counted any more.
func TestCloseEndsWithContext(t *testing.T) {
	s := serve(t, time.Minute, listenFreely)
	subscriber, err := s.hub.Subscribe(t.Context(), []pubsub.Start{{Channel: "c"}})
	if err != nil {
		t.Fatal(err)
	}
	began, release := make(chan struct{}), make(chan struct{})
	why := make(chan CloseReason, 1)
	s.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.parker.parking.enter() // as Hold does, and then does not come to an end
		defer s.parker.parking.leave()
		connection, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer connection.Close()
		close(began)
		<-release
		stream := &Stream{
			Subscriber: subscriber, Cursors: pubsub.NewCursorSet([]string{"c"}, subscriber.StartCursors()), Format: wire.SSE,
			Ended: func(b CloseReason) { why <- b },
		}
		if !s.parker.park(connection, stream) {
			t.Error("not parked")
		}
	})
	p := s.dial()
	p.send("/")
	<-began
	s.closed = true
	s.http.Close()
	<-s.served
	<-s.served
	ended, end := context.WithCancel(t.Context())
	end()
	if err := s.parker.Close(ended); err == nil || !strings.Contains(err.Error(), "1 connections did not end in time") {
		t.Errorf("closed with %v", err)
	}
	close(release)
	if got := <-why; got != Gone {
		t.Errorf("ended with %q", got)
	}
	if all, err := io.ReadAll(p); err != nil || len(all) > 0 {
		t.Errorf("the client read %q, %v, want the end", all, err)
	}
	eventually(t, "nothing counts", func() bool { return s.listener.Open() == 0 && s.feeds() == 0 })
}

// A write that is stalled when its stream has to end outlives it by endTimeout,
// not by writeTimeout.
func TestStalledWriteEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, late := range map[string]bool{"the write first": false, "the end first": true} {
			ctx, cancel := context.WithCancelCause(t.Context())
			w := &stalledWrite{stop: make(chan struct{})}
			stop := shortenDeadlineAtEnd(ctx, w.SetWriteDeadline)
			if late {
				cancel(Shutdown)
				synctest.Wait()
			} else {
				time.AfterFunc(10*time.Second, func() { cancel(Shutdown) })
			}
			began := time.Now()
			if err := setWriteDeadline(ctx, w.SetWriteDeadline); err != nil {
				t.Fatal(err)
			}
			<-w.stop
			want := endTimeout
			if !late {
				want += 10 * time.Second
			}
			if got := time.Since(began); got != want {
				t.Errorf("%s: the write ended after %v, want %v", name, got, want)
			}
			stop()
			cancel(nil)
		}
	})
}

// stalledWrite ends only with its deadline, when stop is closed.
type stalledWrite struct {
	mu    sync.Mutex // guards timer
	timer *time.Timer
	stop  chan struct{}
}

func (w *stalledWrite) SetWriteDeadline(at time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
	}
	w.timer = time.AfterFunc(time.Until(at), func() { close(w.stop) })
	return nil
}
