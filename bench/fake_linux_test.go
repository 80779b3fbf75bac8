package bench

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"comet/gateway/conn"
)

// fake is a push server in Nchan's dialect. Its streams have no history. mangle
// returns the pieces that a subscriber of a channel gets for a message: by default
// the message. An empty piece ends the stream.
type fake struct {
	mangle func(subscriber, index int, message string) []string

	mu       sync.Mutex
	channels map[string]*fakeChannel
}

type fakeChannel struct {
	streams []chan string
	log     []string
	grown   chan struct{} // closed when log has
}

// startFake returns the fake's URL.
func startFake(t *testing.T, mangle func(subscriber, index int, message string) []string) string {
	return serve(t, newFake(mangle))
}

func newFake(mangle func(subscriber, index int, message string) []string) http.Handler {
	if mangle == nil {
		mangle = honest
	}
	f := &fake{mangle: mangle, channels: make(map[string]*fakeChannel)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stream", f.stream)
	mux.HandleFunc("GET /poll", f.poll)
	mux.HandleFunc("POST /publish", f.publish)
	return mux
}

// serve serves h until t ends, with parked connections like a node.
func serve(t *testing.T, h http.Handler) string {
	url, stop := serveUntil(h)
	t.Cleanup(stop)
	return url
}

// serveUntil serves h until stop, which may be called twice.
func serveUntil(h http.Handler) (url string, stop func()) {
	server := httptest.NewUnstartedServer(h)
	listener := conn.Listen(server.Listener, 10_000, slog.New(slog.DiscardHandler))
	server.Listener = listener
	server.Start()
	var back sync.WaitGroup
	back.Go(func() { _ = server.Config.Serve(listener.Returned()) }) // until Returned is closed
	return server.URL, sync.OnceFunc(func() {
		listener.Returned().Close()
		server.CloseClientConnections()
		server.Close()
		back.Wait()
	})
}

// channel must be called with mu held.
func (f *fake) channel(r *http.Request) *fakeChannel {
	id := r.URL.Query().Get("id")
	if f.channels[id] == nil {
		f.channels[id] = &fakeChannel{grown: make(chan struct{})}
	}
	return f.channels[id]
}

func (f *fake) stream(w http.ResponseWriter, r *http.Request) {
	mine := make(chan string, 1000)
	f.mu.Lock()
	c := f.channel(r)
	c.streams = append(c.streams, mine)
	f.mu.Unlock()
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	for {
		select {
		case message := <-mine:
			if message == "" {
				return
			}
			fmt.Fprintf(w, "data: %s\n\n", message)
			w.(http.Flusher).Flush()
		case <-r.Context().Done():
			return
		}
	}
}

func (f *fake) publish(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.channel(r)
	if strings.Contains(string(body), payloadMark) {
		index := 0
		for _, m := range c.log {
			if strings.Contains(m, payloadMark) {
				index++
			}
		}
		for i, to := range c.streams {
			for _, piece := range f.mangle(i, index, string(body)) {
				to <- piece
			}
		}
	}
	c.log = append(c.log, string(body))
	close(c.grown)
	c.grown = make(chan struct{})
	w.WriteHeader(http.StatusAccepted)
}

// poll answers with the message after the one that If-None-Match names.
func (f *fake) poll(w http.ResponseWriter, r *http.Request) {
	at, _ := strconv.Atoi(r.Header.Get("If-None-Match"))
	for {
		f.mu.Lock()
		c := f.channel(r)
		grown, log := c.grown, c.log
		f.mu.Unlock()
		if at < len(log) {
			w.Header().Set("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
			w.Header().Set("Etag", strconv.Itoa(at+1))
			io.WriteString(w, log[at])
			return
		}
		select {
		case <-grown:
		case <-r.Context().Done():
			return
		}
	}
}
