package main

import (
	"context"
	"net/http"
	"testing"

	"comet/gateway/wire"
)

// streamLife is the longest life of an answer: a stream may last as long as its
// test.
const streamLife = 4 * deadline

// get sends a GET that t's end cuts, over a connection of its own.
func get(t testing.TB, url string) *http.Response {
	t.Helper()
	return send(t, http.MethodGet, url)
}

func send(t testing.TB, method, url string) *http.Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), streamLife)
	request, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept-Encoding", "identity")
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = response.Body.Close()
		transport.CloseIdleConnections()
	})
	return response
}

// openStream opens an event stream and reads its comet.ready.
func openStream(t testing.TB, url string) (events *wire.Reader, ready wire.Event) {
	t.Helper()
	events = wire.NewReader(get(t, url).Body, wire.SSE)
	ready = nextEvent(t, events)
	if ready.Kind != wire.KindReady {
		t.Fatalf("the stream begins with %+v", ready)
	}
	return events, ready
}

func nextEvent(t testing.TB, events *wire.Reader) wire.Event {
	t.Helper()
	e, err := events.Next()
	if err != nil {
		t.Fatalf("the stream ended: %v", err)
	}
	return e
}
