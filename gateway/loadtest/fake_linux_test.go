package loadtest

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"sync"
	"testing"

	"comet/gateway/conn"
)

// fake is a push server of one channel, in Nchan's dialect. mangle says what a
// subscriber gets for a message, in pieces: by default the message. A piece
// that is empty ends its stream.
type fake struct {
	mangle func(subscriber, index int, message string) []string

	mu        sync.Mutex
	published int
	streams   []chan string
	log       []string
	grown     chan struct{} // closed when log has
}

func startFake(t *testing.T, mangle func(subscriber, index int, message string) []string) netip.AddrPort {
	if mangle == nil {
		mangle = func(_, _ int, message string) []string { return []string{message} }
	}
	f := &fake{mangle: mangle, grown: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stream", f.stream)
	mux.HandleFunc("GET /poll", f.poll)
	mux.HandleFunc("POST /publish", f.publish)
	return serve(t, mux)
}

// serve serves h until t ends, as a node does: what was parked comes back.
func serve(t *testing.T, h http.Handler) netip.AddrPort {
	server := httptest.NewUnstartedServer(h)
	listener := conn.Listen(server.Listener, 10_000, slog.New(slog.DiscardHandler))
	server.Listener = listener
	server.Start()
	var back sync.WaitGroup
	back.Go(func() { _ = server.Config.Serve(listener.Back()) }) // until Back is closed
	t.Cleanup(func() {
		listener.Back().Close()
		server.Close()
		back.Wait()
	})
	return netip.MustParseAddrPort(server.Listener.Addr().String())
}

func (f *fake) stream(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	mine := make(chan string, 1000)
	f.streams = append(f.streams, mine)
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
	for i, to := range f.streams {
		for _, piece := range f.mangle(i, f.published, string(body)) {
			to <- piece
		}
	}
	f.published++
	f.log = append(f.log, string(body))
	close(f.grown)
	f.grown = make(chan struct{})
	w.WriteHeader(http.StatusAccepted)
}

// poll answers with the message after the one that Etag names.
func (f *fake) poll(w http.ResponseWriter, r *http.Request) {
	at, _ := strconv.Atoi(r.Header.Get("If-None-Match"))
	for {
		f.mu.Lock()
		grown, log := f.grown, f.log
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

func addressOf(t *testing.T, text string) netip.AddrPort {
	address, err := netip.ParseAddrPort(text)
	if err != nil {
		t.Fatal(err)
	}
	return address
}
