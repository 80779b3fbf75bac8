package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"comet/gateway/wire"
	"comet/pubsub"
)

// nodes are two fake nodes, http://node-1 and http://node-2, over net.Pipe, so
// that a synctest bubble controls their time. The n-th request, to either, is
// answered by the n-th step. A request without a step fails the test.
type nodes struct {
	client *Client
	start  time.Time

	mu    sync.Mutex
	steps []http.HandlerFunc
	seen  []seen
}

// seen is a request that a node received.
type seen struct {
	*http.Request
	after time.Duration // since the start
	done  <-chan struct{}
}

// withNodes runs test in a bubble.
func withNodes(t *testing.T, test func(t *testing.T, n *nodes), steps ...http.HandlerFunc) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := &nodes{start: time.Now(), steps: steps}
		listener := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
		server := &http.Server{Handler: n}
		var serving sync.WaitGroup
		serving.Go(func() { server.Serve(listener) })
		// net/http would repeat requests by itself on connections that it kept.
		transport := &http.Transport{DialContext: listener.dial, DisableKeepAlives: true}
		var err error
		n.client, err = New(Options{URLs: []string{"http://node-1", "http://node-2/"}, HTTPClient: &http.Client{Transport: transport}})
		if err != nil {
			t.Fatal(err)
		}
		test(t, n)
		server.Close()
		serving.Wait()
		if left := n.left(); left > 0 {
			t.Errorf("%d requests never came", left)
		}
		if t.Failed() {
			for _, r := range n.requests() {
				t.Logf("%v %s %s %s", r.after, r.Method, r.Host, r.URL)
			}
		}
	})
}

func (n *nodes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	n.seen = append(n.seen, seen{r, time.Since(n.start), r.Context().Done()})
	step := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "unexpected request", http.StatusGone) }
	if len(n.steps) > 0 {
		step, n.steps = n.steps[0], n.steps[1:]
	}
	n.mu.Unlock()
	step(w, r)
}

// requests returns the requests so far.
func (n *nodes) requests() []seen {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.seen)
}

// left returns the number of steps without a request.
func (n *nodes) left() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.steps)
}

// skipRest drops the steps that are left.
func (n *nodes) skipRest() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.steps = nil
}

// pipeListener serves connections of net.Pipe.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{} // by Close
}

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-l.closed:
	case <-ctx.Done():
	}
	return nil, errors.New("refused")
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error { close(l.closed); return nil }

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{} }

// Steps.

// answer is a step that sends a whole response.
func answer(status int, contentType, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

func ok(body string) http.HandlerFunc { return answer(http.StatusOK, "application/json", body) }

func unavailable(retryAfter string) http.HandlerFunc {
	return answer(http.StatusServiceUnavailable, "application/problem+json",
		`{"type":"urn:unavailable","title":"Unavailable","status":503,"detail":"Redis is away."}`, "Retry-After", retryAfter)
}

// frozen never answers.
func frozen(_ http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body) // the context reports a disconnect only after the body is read
	<-r.Context().Done()
}

// cut breaks the connection instead of an answer.
func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// streaming sends the parts of an event stream and then does what end does.
func streaming(end http.HandlerFunc, parts ...[]byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		for _, part := range parts {
			w.Write(part)
		}
		w.(http.Flusher).Flush()
		end(w, r)
	}
}

func closing(http.ResponseWriter, *http.Request) {}

// Contents of streams and polls.

func testMessage(ms uint64) *pubsub.Message {
	id := pubsub.ID{MS: ms}
	return &pubsub.Message{Channel: "news", Type: "message", Data: fmt.Appendf(nil, "%d", ms), ID: id, Time: id.Time()}
}

func cursorAt(ms uint64) []byte { return []byte(pubsub.ID{MS: ms}.String()) }

func ready(ms uint64) []byte { return wire.SSE.AppendReady(nil, "n", cursorAt(ms), nil, false) }

func sent(ms uint64) []byte { return wire.SSE.AppendMessage(nil, testMessage(ms), cursorAt(ms), false) }

func polled(cursor uint64, gaps []*pubsub.Gap, ms ...uint64) http.HandlerFunc {
	p := &wire.Poll{Cursor: string(cursorAt(cursor)), Gaps: gaps}
	for _, ms := range ms {
		p.Messages = append(p.Messages, testMessage(ms))
	}
	return ok(string(p.AppendJSON(nil)))
}

// taken prints an event with its cursor: "ready @3-0", "message 4 @4-0".
func taken(e wire.Event) string {
	name := [...]string{wire.KindMessage: "message", wire.KindReady: "ready", wire.KindGap: "gap", wire.KindBye: "bye"}[e.Kind]
	if e.Kind == wire.KindMessage {
		name += " " + string(e.Message.Data)
	}
	return name + " @" + e.Cursor
}
