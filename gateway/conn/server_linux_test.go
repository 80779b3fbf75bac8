package conn

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"comet/pubsub"
	"comet/pubsub/membroker"
)

// server holds streams at /events and polls at /poll, of the channels in the
// query, with a Parker and a Listener, and says "ok" to everything else.
type server struct {
	t        *testing.T
	hub      *pubsub.Hub
	parker   *Parker
	listener *Listener
	http     *http.Server
	held     atomic.Int64 // streams and polls that have not ended
	leaving  context.CancelCauseFunc
	leave    context.Context
	served   chan error
	closed   bool
}

// serve starts a server; its end must leave no descriptor, connection or feed.
func serve(t *testing.T, heartbeat time.Duration, wrap func(net.Listener) *Listener) *server {
	t.Helper()
	before := descriptors(t)
	t.Cleanup(func() {
		eventually(t, "no descriptor is left", func() bool { return descriptors(t) <= before })
	})
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, listener: wrap(tcp), served: make(chan error, 2)}
	if s.parker, err = NewParker(heartbeat); err != nil {
		t.Fatal(err)
	}
	broker := membroker.New(membroker.Options{Size: 2000, TTL: time.Hour, KeyWindow: time.Minute}).Node()
	s.hub = pubsub.NewHub(broker, pubsub.Options{})
	s.leave, s.leaving = context.WithCancelCause(context.Background())
	s.http = &http.Server{Handler: s, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)}
	s.listener.ConfigureServer(s.http)
	go func() { s.served <- s.http.Serve(s.listener) }()
	go func() { s.served <- s.http.Serve(s.listener.Returned()) }()
	t.Cleanup(func() {
		s.close()
		s.hub.Close()
		broker.Close()
	})
	return s
}

func listenFreely(l net.Listener) *Listener { return Listen(l, 10_000, slog.New(slog.DiscardHandler)) }

// close ends the server as a node is ended, once.
func (s *server) close() {
	s.t.Helper()
	if s.closed {
		return
	}
	s.closed = true
	s.leaving(Shutdown)
	s.parker.Drain(0)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		s.t.Error(err)
		s.http.Close()
	}
	<-s.served
	<-s.served
	if err := s.parker.Close(ctx); err != nil {
		s.t.Error(err)
	}
	if held, open, feeds := s.held.Load(), s.listener.Open(), s.feeds(); held != 0 || open != 0 || feeds != 0 {
		s.t.Errorf("at the end: %d held, %d connections, %d feeds", held, open, feeds)
	}
}

func (s *server) feeds() int {
	s.parker.feeds.mu.Lock()
	defer s.parker.feeds.mu.Unlock()
	return len(s.parker.feeds.byKey)
}

// waitParked waits until n streams and polls are parked and taken in.
func (s *server) waitParked(n int) {
	s.t.Helper()
	eventually(s.t, fmt.Sprint(n, " parked"), func() bool {
		users := 0
		s.parker.feeds.mu.Lock()
		defer s.parker.feeds.mu.Unlock()
		for _, f := range s.parker.feeds.byKey {
			f.mu.Lock()
			for _, shard := range f.shards {
				if shard != nil {
					users += shard.streams - shard.joining
				}
			}
			f.mu.Unlock()
		}
		return users == n
	})
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	names := channelsOf(r)
	if len(names) == 0 {
		if r.URL.Path == "/panic" {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprint(w, "ok")
		return
	}
	var starts []pubsub.Start
	for _, name := range names {
		starts = append(starts, pubsub.Start{Channel: name})
	}
	if at, err := pubsub.ParseCursorSet(names, query.Get("cursor")); err == nil {
		for i := range at {
			starts[i].From.Cursor = &at[i]
		}
	}
	if query.Get("cursor") == "earliest" {
		for i := range starts {
			starts[i].From.Earliest = true
		}
	}
	if last, err := strconv.Atoi(query.Get("last")); err == nil {
		for i := range starts {
			starts[i].From.Last = last
		}
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	defer context.AfterFunc(s.leave, func() { cancel(Shutdown) })()
	subscriber, err := s.hub.Subscribe(ctx, starts)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	s.held.Add(1)
	ended := func(CloseReason) { s.held.Add(-1) }
	cursors := pubsub.NewCursorSet(names, subscriber.StartCursors())
	r = r.WithContext(ctx)
	if r.URL.Path == "/events" {
		format := formats[query.Get("format")]
		s.parker.Hold(w, r, &Stream{
			Subscriber: subscriber, Cursors: cursors, Several: len(names) > 1, Format: format, Node: "n", Ended: ended,
		})
		return
	}
	if err := s.parker.HoldPoll(w, r, &Poll{Subscriber: subscriber, Cursors: cursors, Wait: waitOf(r), Ended: ended, NextPoll: s.nextPoll}); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	}
}

// nextPoll admits polls with a cursor.
func (s *server) nextPoll(r *http.Request) (next FastResult, ok bool) {
	names := channelsOf(r)
	at, err := pubsub.ParseCursorSet(names, r.URL.Query().Get("cursor"))
	if r.URL.Path != "/poll" || len(names) == 0 || err != nil || waitOf(r) == 0 {
		return next, false
	}
	for i, name := range names {
		c, place, _, ok := s.hub.TryAcquire(pubsub.Start{Channel: name, From: pubsub.From{Cursor: &at[i]}})
		if !ok {
			next.Release()
			return next, false
		}
		next.Channels, next.Positions = append(next.Channels, c), append(next.Positions, place)
	}
	s.held.Add(1)
	next.Cursors, next.Wait = pubsub.NewCursorSet(names, at), waitOf(r)
	next.Ended = func(CloseReason) { s.held.Add(-1) }
	return next, true
}

// channelsOf is which channels a request is for, sorted.
func channelsOf(r *http.Request) []string {
	return slices.Sorted(slices.Values(r.URL.Query()["channel"]))
}

// waitOf is how long a poll waits.
func waitOf(r *http.Request) time.Duration {
	wait, err := time.ParseDuration(r.URL.Query().Get("wait"))
	if err != nil {
		return patience
	}
	return wait
}

// publish publishes data, text that needs no escaping, and returns the message's ID.
func (s *server) publish(channel, data string) pubsub.ID {
	s.t.Helper()
	r := s.hub.Publish(s.t.Context(), []pubsub.Draft{{Channel: channel, Data: []byte(`"` + data + `"`)}})[0]
	if r.Err != nil {
		s.t.Error(r.Err)
	}
	return r.ID
}

func descriptors(t testing.TB) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}
