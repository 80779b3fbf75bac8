package conn

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"comet/gateway/wire"
	"comet/pubsub"
	"comet/pubsub/membroker"
)

// server holds streams at /events and polls at /poll, of the channels in the
// query, with a Parker behind a Listener, and says "ok" to everything else.
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
	go func() { s.served <- s.http.Serve(s.listener) }()
	go func() { s.served <- s.http.Serve(s.listener.Back()) }()
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
	s.leaving(errLeaving)
	s.parker.Leave()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		s.t.Error(err)
		s.http.Close()
	}
	<-s.served
	<-s.served
	if err := s.parker.Close(); err != nil {
		s.t.Error(err)
	}
	if held, open, feeds := s.held.Load(), s.listener.Open(), s.feeds(); held != 0 || open != 0 || feeds != 0 {
		s.t.Errorf("at the end: %d held, %d connections, %d feeds", held, open, feeds)
	}
}

func (s *server) feeds() int {
	s.parker.mu.Lock()
	defer s.parker.mu.Unlock()
	return len(s.parker.feeds)
}

// parked waits until n streams and polls are parked and taken in.
func (s *server) parked(n int) {
	s.t.Helper()
	eventually(s.t, fmt.Sprint(n, " parked"), func() bool {
		users := 0
		s.parker.mu.Lock()
		defer s.parker.mu.Unlock()
		for _, f := range s.parker.feeds {
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
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	defer context.AfterFunc(s.leave, func() { cancel(errLeaving) })()
	subscriber, err := s.hub.Subscribe(ctx, starts)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	s.held.Add(1)
	ended := func() { s.held.Add(-1) }
	cursors := pubsub.NewCursorSet(names, subscriber.Start())
	r = r.WithContext(ctx)
	if r.URL.Path == "/events" {
		format := formats[query.Get("format")]
		s.parker.Hold(w, r, &Stream{subscriber, cursors, len(names) > 1, format, "n", errLeaving, ended})
		return
	}
	if err := s.parker.HoldPoll(w, r, &Poll{subscriber, cursors, waitOf(r), errLeaving, ended, s.again}); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	}
}

// again lets in polls with a cursor.
func (s *server) again(r *http.Request) (next Next, ok bool) {
	names := channelsOf(r)
	at, err := pubsub.ParseCursorSet(names, r.URL.Query().Get("cursor"))
	if r.URL.Path != "/poll" || len(names) == 0 || err != nil || waitOf(r) == 0 {
		return next, false
	}
	for i, name := range names {
		c, place, _, ok := s.hub.Attach(pubsub.Start{Channel: name, From: pubsub.From{Cursor: &at[i]}})
		if !ok {
			next.Release()
			return next, false
		}
		next.Channels, next.Places = append(next.Channels, c), append(next.Places, place)
	}
	s.held.Add(1)
	next.Cursors, next.Wait = pubsub.NewCursorSet(names, at), waitOf(r)
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

// publish publishes data, any text, and returns the message's ID.
func (s *server) publish(channel, data string) pubsub.ID {
	s.t.Helper()
	r := s.hub.Publish(s.t.Context(), []pubsub.Draft{{Channel: channel, Data: fmt.Appendf(nil, "%q", data)}})[0]
	if r.Err != nil {
		s.t.Error(r.Err)
	}
	return r.ID
}

// peer is a client that reads and writes its connection itself.
type peer struct {
	*net.TCPConn
	t *testing.T
	r *bufio.Reader
}

func (s *server) dial() *peer {
	s.t.Helper()
	c, err := net.Dial("tcp", s.listener.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return &peer{c.(*net.TCPConn), s.t, bufio.NewReader(c)}
}

// send sends one request after the other, in one write.
func (p *peer) send(targets ...string) {
	p.t.Helper()
	var b []byte
	for _, target := range targets {
		b = fmt.Appendf(b, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", target)
	}
	if _, err := p.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

// answer reads a whole answer.
func (p *peer) answer() string {
	p.t.Helper()
	res, err := http.ReadResponse(p.r, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		p.t.Fatalf("%s %q, %v", res.Status, body, err)
	}
	return string(body)
}

// poll reads a poll's answer and returns its data, apart by spaces.
func (p *peer) poll() string {
	p.t.Helper()
	got, err := wire.ParsePoll([]byte(p.answer()))
	if err != nil {
		p.t.Fatal(err)
	}
	var all []string
	for _, m := range got.Messages {
		all = append(all, strings.Trim(string(m.Data), `"`))
	}
	return strings.Join(all, " ")
}

// open begins a stream and returns the reader of its events.
func (p *peer) open(query string, format wire.Format) *wire.Reader {
	p.t.Helper()
	p.send("/events?" + query)
	res, err := http.ReadResponse(bufio.NewReader(&untilBlank{r: p.r}), nil)
	if err != nil || res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != format.ContentType() {
		p.t.Fatalf("%v %v", res, err)
	}
	events := wire.NewReader(&chunks{r: p.r}, format)
	p.want(events, "ready")
	return events
}

// want waits for events: ready, bye, or a message's data.
func (p *peer) want(events *wire.Reader, want ...string) {
	p.t.Helper()
	_ = p.SetDeadline(time.Now().Add(patience))
	for _, want := range want {
		e, err := events.Next()
		if err != nil {
			p.t.Fatalf("%v, want %.20s", err, want)
		}
		got := "ready"
		switch e.Kind {
		case wire.KindMessage:
			got = strings.Trim(string(e.Message.Data), `"`)
		case wire.KindBye:
			got = "bye " + e.Reason
		}
		if got != want {
			p.t.Fatalf("got %.20q (%d), want %.20q (%d)", got, len(got), want, len(want))
		}
	}
}

func descriptors(t testing.TB) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// eventually waits until ok says so.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	late := time.After(patience)
	for !ok() {
		select {
		case <-look.C:
		case <-late:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
