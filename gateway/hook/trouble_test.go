package hook

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"comet/internal/testenv"
)

// troubles is what applications do wrong. None of it may let anybody in.
var troubles = map[string]http.HandlerFunc{
	"hangs": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	"hangs after the header": func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	},
	"trickles": func(w http.ResponseWriter, r *http.Request) {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for r.Context().Err() == nil {
			_, _ = w.Write([]byte(" "))
			_ = http.NewResponseController(w).Flush()
			select {
			case <-tick.C:
			case <-r.Context().Done():
			}
		}
	},
	"hangs up": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	"breaks off": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte(`{"allow":true}`))
	},
	"is not HTTP": func(w http.ResponseWriter, _ *http.Request) {
		if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_, _ = c.Write([]byte("\x00\xffnonsense\r\n\r\n"))
			_ = c.Close()
		}
	},
	"says nothing":  func(http.ResponseWriter, *http.Request) {},
	"says nonsense": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>allow: true")) },
	"says something else": func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"allowed":true}`))
	},
	"says too much": func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"allow":true}` + strings.Repeat(" ", 1<<20)))
	},
	"has a huge header": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Huge", strings.Repeat("x", 1<<20))
		_, _ = w.Write([]byte(`{"allow":true}`))
	},
	"repeats what it got": func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		_ = r.Write(w)
	},
	"has moved": func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/moved") {
			_, _ = w.Write([]byte(`{"allow":true}`))
			return
		}
		http.Redirect(w, r, "/moved", http.StatusTemporaryRedirect)
	},
	"fails": func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"allow":true}`, http.StatusInternalServerError)
	},
}

// serve runs a trouble. It reads each body first: a server does not notice that
// the client has gone as long as there is something to read.
func serve(t testing.TB, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		handler(w, r)
	}))
	t.Cleanup(server.Close)
	return server
}

func TestAskerInTrouble(t *testing.T) {
	for name, handler := range troubles {
		t.Run(name, func(t *testing.T) {
			server := serve(t, handler)
			var log logbook
			asker, err := NewAsker(AskerOptions{Endpoint: at(server.URL), Timeout: 100 * time.Millisecond, Failures: 2, Pause: time.Hour, Logger: log.logger()})
			if err != nil {
				t.Fatal(err)
			}
			defer asker.Close()
			for _, user := range []string{"alice", "bob", "carol"} {
				wantUnavailable(t, asker.Allowed(t.Context(), *asks(user, "a")))
			}
			if s := asker.Stats(); s != (AskerStats{Failed: 2, Skipped: 1, Open: true}) {
				t.Errorf("got %+v", s)
			}
			wantSilent(t, log.String())
			if _, known := asker.Cached(*asks("alice", "a")); known {
				t.Error("something was remembered")
			}
		})
	}
}

// closedPort is the URL of a server that is not there.
func closedPort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

func TestNobodyListens(t *testing.T) {
	var log logbook
	asker, err := NewAsker(AskerOptions{Endpoint: at(closedPort(t)), Failures: 1, Logger: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	defer asker.Close()
	wantUnavailable(t, asker.Allowed(t.Context(), *asks("alice", "a")))
	events, err := NewEvents(EventsOptions{Endpoint: at(closedPort(t)), Logger: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	events.FirstSubscriber("a")
	awaitFailure(t, events)
	if err := events.Close(ended(t)); err == nil || !strings.Contains(err.Error(), "1 events") {
		t.Errorf("got %v", err)
	}
	if s := events.Stats(); s.Dropped != 1 || s.Delivered+s.Waiting != 0 || s.Failures == 0 {
		t.Errorf("got %+v", s)
	}
	wantSilent(t, log.String())
	if strings.Count(log.String(), "\n") != 2 {
		t.Errorf("the log is\n%s", log.String())
	}
}

// awaitFailure waits until a report has failed.
func awaitFailure(t *testing.T, events *Events) {
	t.Helper()
	late := time.After(testenv.Patience)
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for events.Stats().Failures == 0 {
		select {
		case <-look.C:
		case <-late:
			t.Fatal("no report has failed")
		}
	}
}

// ended is a context that is over.
func ended(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestEventsInTrouble(t *testing.T) {
	taken := map[string]bool{ // the status is good, which is all that counts
		"hangs after the header": true, "trickles": true, "breaks off": true, "says nothing": true, "says nonsense": true,
		"says something else": true, "says too much": true,
	}
	for name, handler := range troubles {
		t.Run(name, func(t *testing.T) {
			server := serve(t, handler)
			var log logbook
			events, err := NewEvents(EventsOptions{Endpoint: at(server.URL), Timeout: 50 * time.Millisecond, Logger: log.logger()})
			if err != nil {
				t.Fatal(err)
			}
			events.Connected("alice", "sse")
			ctx := t.Context()
			if !taken[name] {
				awaitFailure(t, events)
				ctx = ended(t)
			}
			if err := events.Close(ctx); (err == nil) != taken[name] {
				t.Errorf("got %v", err)
			}
			s := events.Stats()
			if s.Delivered+s.Dropped != 1 || s.Waiting != 0 || (s.Delivered == 1) != taken[name] || s.Dropped == 1 && s.Failures == 0 {
				t.Errorf("got %+v", s)
			}
			wantSilent(t, log.String())
		})
	}
}

// Many questions at a time over real connections.
func TestAskConcurrently(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"allow":true,"for":3600}`))
	})
	asker, err := NewAsker(AskerOptions{Endpoint: at(server.URL), Timeout: 20 * time.Second, Concurrency: 8})
	if err != nil {
		t.Fatal(err)
	}
	defer asker.Close()
	var all sync.WaitGroup
	for worker := range 16 {
		all.Go(func() {
			for i := range 50 {
				q := *asks(fmt.Sprint(worker%4), fmt.Sprint(i))
				if err := asker.Allowed(t.Context(), q); err != nil {
					t.Error(err)
				}
				if answer, known := asker.Cached(q); !answer || !known {
					t.Errorf("%v, %v", answer, known)
				}
			}
		})
	}
	all.Wait()
	if s := asker.Stats(); s.Allowed < 200 || s.Allowed+s.Cached != 1600 || s.Failed+s.Skipped+s.Denied != 0 {
		t.Errorf("got %+v", s)
	}
}
