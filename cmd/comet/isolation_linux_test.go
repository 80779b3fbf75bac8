package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"comet/gateway/wire"
	"comet/internal/servertest"
)

// TestIsolationOfClients checks that the clients of one address cannot keep those of
// another from subscribing, receiving, publishing and resuming, nor operators from
// seeing a ready node. It compares the time that this takes with the time before.
func TestIsolationOfClients(t *testing.T) {
	t.Parallel()
	// The application answers at once, but never for the channel slow.
	application := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if question, err := io.ReadAll(r.Body); err == nil && bytes.Contains(question, []byte(`"slow"`)) {
			<-r.Context().Done()
			return
		}
		_, _ = io.WriteString(w, `{"allow": true}`)
	}))
	t.Cleanup(application.Close)
	wrong := servertest.Token(t, "mallory", 0) + "x"
	// Connections that serve a request cannot be closed to make room: only the limit
	// for each address keeps them from taking the whole node.
	const limited = "--limits-address-connections"
	flags := map[string][]string{
		"questions without an answer": {"--auth-hook-url", application.URL, "--auth-hook-secret-file", servertest.NewFile(t, servertest.JWTSecret+"\n"), "--auth-hook-timeout", "3s", limited, "100"},
		"wrong tokens":                servertest.GuardedFlags(t, "--auth-anonymous-subscribe", "**", "--auth-anonymous-publish", "**", limited, "100"),
	}
	const poll = "GET /v1/poll?channel=other&wait=1ms HTTP/1.1\r\nHost: h\r\n\r\n"
	for name, request := range map[string]string{
		"clients that never read":    "GET /v1/events?channel=big&cursor=earliest HTTP/1.1\r\nHost: h\r\n\r\n",
		"polls that are never read":  "GET /v1/poll?channel=big&cursor=earliest HTTP/1.1\r\nHost: h\r\n\r\n",
		"idle connections":           "GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n",
		"connections between polls":  poll,
		"headers that are half sent": "GET /v1/events?channel=a HTTP/1.1\r\nHost: ",

		"questions without an answer": "GET /v1/events?channel=slow HTTP/1.1\r\nHost: h\r\n\r\n",
		"wrong tokens":                strings.Repeat("GET /v1/events?channel=a HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer "+wrong+"\r\n\r\n", 10),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const descriptors = 700
			p := setup{descriptors: descriptors}.start(t, append([]string{"serve", "--http-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--limits-replay-memory", "4MiB"}, flags[name]...)...)
			served := p.awaitErr(`msg=serving .*url=(\S+) admin=(\S+)`)
			url, admin := served[1], served[2]
			body := strings.Repeat("x", 60_000)
			for range 60 {
				if r := servertest.Ask(t, http.MethodPost, url+"/v1/channels/big/messages", body, "Content-Type", "text/plain"); r.StatusCode != http.StatusCreated {
					t.Fatal(r.Status)
				}
			}
			quiet := useNode(t, url, admin, "quiet")
			for range descriptors {
				_, _ = io.WriteString(dialSmall(t, "127.0.0.9", strings.TrimPrefix(url, "http://")), request)
			}
			harmed := useNode(t, url, admin, "harmed")
			t.Logf("quiet %v, harmed %v", quiet, harmed)
			if harmed > 10*quiet+2*time.Second {
				t.Errorf("it takes %v, and took %v before", harmed, quiet)
			}
		})
	}
}

// awaitServed repeats a request while the node refuses the connection with 503, as
// clients do: connections that have just come are not closed to make room.
func awaitServed(t *testing.T, request func() *http.Response) *http.Response {
	t.Helper()
	for late := time.Now().Add(deadline); ; {
		if r := request(); r.StatusCode != http.StatusServiceUnavailable || time.Now().After(late) {
			return r
		}
	}
}

// awaitStream opens a stream as awaitServed does.
func awaitStream(t *testing.T, url string) *wire.Reader {
	t.Helper()
	r := awaitServed(t, func() *http.Response { return servertest.Get(t, url) })
	events := wire.NewReader(r.Body, wire.SSE)
	if ready := servertest.NextEvent(t, events); ready.Kind != wire.KindReady {
		t.Fatalf("%s: the stream begins with %+v", r.Status, ready)
	}
	return events
}

// useNode does all that a client does, five times, and returns the median time.
func useNode(t *testing.T, url, admin, channel string) time.Duration {
	t.Helper()
	var took []time.Duration
	for i := range 5 {
		began := time.Now()
		events := awaitStream(t, fmt.Sprintf("%s/v1/events?channel=%s%d", url, channel, i))
		target := fmt.Sprintf("%s/v1/channels/%s%d/messages", url, channel, i)
		r := awaitServed(t, func() *http.Response {
			return servertest.Ask(t, http.MethodPost, target, "1", "Content-Type", "text/plain")
		})
		if r.StatusCode != http.StatusCreated {
			t.Fatalf("publish: %s", r.Status)
		}
		if e := servertest.NextEvent(t, events); e.Kind != wire.KindMessage {
			t.Errorf("delivered %+v", e)
		}
		resumed := awaitStream(t, fmt.Sprintf("%s/v1/events?channel=%s%d&cursor=earliest", url, channel, i))
		if e := servertest.NextEvent(t, resumed); e.Kind != wire.KindMessage {
			t.Errorf("resumed with %+v", e)
		}
		if r := servertest.Get(t, admin+"/readyz"); r.StatusCode != http.StatusOK {
			t.Errorf("readiness: %s", r.Status)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took[len(took)/2]
}
