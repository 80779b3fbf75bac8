package servertest

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"comet/gateway/wire"
	"comet/internal/testenv"
)

// News is the path to publish to channel news, and of its history.
const News = "/v1/channels/news/messages"

// streamLife is the longest life of an answer: a stream may last as long as its
// test.
const streamLife = 4 * testenv.Patience

// Get sends a GET over a connection of its own. The end of t ends it.
func Get(t testing.TB, url string) *http.Response {
	t.Helper()
	return Send(t, http.MethodGet, url)
}

// Send is Get for any method.
func Send(t testing.TB, method, url string) *http.Response {
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

// Ask sends a request with the names and values of header fields in turn. Its
// connection is its own and stays open, because the fast path accepts no request
// that closes its connection. It takes any certificate.
func Ask(t testing.TB, method, url, body string, header ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = response.Body.Close()
		transport.CloseIdleConnections()
	})
	return response
}

// Body reads the body of a response to its end.
func Body(t testing.TB, response *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// Problem returns the last part of a problem's type, and its detail.
func Problem(t testing.TB, response *http.Response) (name, detail string) {
	t.Helper()
	var p struct{ Type, Detail string }
	if body := Body(t, response); json.Unmarshal([]byte(body), &p) != nil {
		t.Errorf("%s is no problem: %s", response.Status, body)
	}
	return strings.TrimPrefix(p.Type, "urn:comet:problem:"), p.Detail
}

// OpenStream opens an event stream and reads its comet.ready.
func OpenStream(t testing.TB, url string) (events *wire.Reader, ready wire.Event) {
	t.Helper()
	events = wire.NewReader(Get(t, url).Body, wire.SSE)
	ready = NextEvent(t, events)
	if ready.Kind != wire.KindReady {
		t.Fatalf("the stream begins with %+v", ready)
	}
	return events, ready
}

// NextEvent waits for the next event of a stream.
func NextEvent(t testing.TB, events *wire.Reader) wire.Event {
	t.Helper()
	e, err := events.Next()
	if err != nil {
		t.Fatalf("the stream ended: %v", err)
	}
	return e
}

// OpenHeld opens an event stream over HTTP/1.0, which a goroutine serves.
func OpenHeld(t testing.TB, url string) *wire.Reader {
	t.Helper()
	host, path, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	c, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(testenv.Patience))
	fmt.Fprintf(c, "GET /%s HTTP/1.0\r\nHost: h\r\n\r\n", path)
	events := wire.NewReader(afterHead(t, c), wire.SSE)
	if e := NextEvent(t, events); e.Kind != wire.KindReady {
		t.Fatalf("it begins with %+v", e)
	}
	return events
}

// afterHead reads the header of a response and returns the rest.
func afterHead(t testing.TB, r io.Reader) io.Reader {
	t.Helper()
	var head []byte
	for b := make([]byte, 1); !strings.HasSuffix(string(head), "\r\n\r\n"); head = append(head, b...) {
		if _, err := io.ReadFull(r, b); err != nil {
			t.Fatal(err)
		}
	}
	return r
}
