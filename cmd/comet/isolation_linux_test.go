package main

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"comet/gateway/wire"
)

// Whatever the clients of one address do, those of another open channels, get what
// is published, publish and resume, and operators see a node that is ready; in a
// time that is compared with that of the same node before.
func TestIsolationOfClients(t *testing.T) {
	t.Parallel()
	wrong := tokenOf(t, "mallory", 0) + "x"
	flags := map[string][]string{
		"wrong tokens": guardedFlags(t, "--auth-anonymous-subscribe", "**", "--auth-anonymous-publish", "**"),
	}
	const poll = "GET /v1/poll?channel=other&wait=1ms HTTP/1.1\r\nHost: h\r\n\r\n"
	for name, request := range map[string]string{
		"clients that never read":    "GET /v1/events?channel=big&cursor=earliest HTTP/1.1\r\nHost: h\r\n\r\n",
		"polls that are never read":  "GET /v1/poll?channel=big&cursor=earliest HTTP/1.1\r\nHost: h\r\n\r\n",
		"idle connections":           "GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n",
		"connections between polls":  poll,
		"headers that are half sent": "GET /v1/events?channel=a HTTP/1.1\r\nHost: ",

		"wrong tokens": strings.Repeat("GET /v1/events?channel=a HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer "+wrong+"\r\n\r\n", 10),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const descriptors = 700
			p := setup{descriptors: descriptors}.start(t, append([]string{"serve", "--http-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--limits-replay-memory", "4MiB"}, flags[name]...)...)
			served := p.awaitErr(`msg=serving .*url=(\S+) admin=(\S+)`)
			url, admin := served[1], served[2]
			body := strings.Repeat("x", 60_000)
			for range 60 {
				if r := ask(t, http.MethodPost, url+"/v1/channels/big/messages", body, "Content-Type", "text/plain"); r.StatusCode != http.StatusCreated {
					t.Fatal(r.Status)
				}
			}
			quiet := useNode(t, url, admin, "quiet")
			for range descriptors {
				_, _ = io.WriteString(dialSmall(t, "127.0.0.9", strings.TrimPrefix(url, "http://")), request)
			}
			for late := time.Now().Add(deadline); !strings.HasPrefix(pollOnce(t, url), "HTTP/1.1 200 "); { // connections that have just come stay for a moment
				if time.Now().After(late) {
					t.Fatal("another address is not served")
				}
			}
			harmed := useNode(t, url, admin, "harmed")
			t.Logf("quiet %v, harmed %v", quiet, harmed)
			if harmed > 10*quiet+2*time.Second {
				t.Errorf("it takes %v, and took %v before", harmed, quiet)
			}
		})
	}
}

// pollOnce is an answer to another address, or what a refused one reads.
func pollOnce(t *testing.T, url string) string {
	t.Helper()
	c := dialFrom(t, "127.0.0.2", strings.TrimPrefix(url, "http://"))
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(deadline))
	fmt.Fprint(c, "GET /v1/poll?channel=c&wait=0 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	b, _ := io.ReadAll(c)
	return string(b)
}

// useNode does all that a client does, five times, and is the median of the times.
func useNode(t *testing.T, url, admin, channel string) time.Duration {
	t.Helper()
	var took []time.Duration
	for i := range 5 {
		began := time.Now()
		events, _ := openStream(t, fmt.Sprintf("%s/v1/events?channel=%s%d", url, channel, i))
		target := fmt.Sprintf("%s/v1/channels/%s%d/messages", url, channel, i)
		if r := ask(t, http.MethodPost, target, "1", "Content-Type", "text/plain"); r.StatusCode != http.StatusCreated {
			t.Errorf("publish: %s", r.Status)
		}
		if e := nextEvent(t, events); e.Kind != wire.KindMessage {
			t.Errorf("delivered %+v", e)
		}
		resumed, _ := openStream(t, fmt.Sprintf("%s/v1/events?channel=%s%d&cursor=earliest", url, channel, i))
		if e := nextEvent(t, resumed); e.Kind != wire.KindMessage {
			t.Errorf("resumed with %+v", e)
		}
		if r := get(t, admin+"/readyz"); r.StatusCode != http.StatusOK {
			t.Errorf("readiness: %s", r.Status)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took[len(took)/2]
}
