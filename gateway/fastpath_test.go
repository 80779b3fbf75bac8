package gateway_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"comet/gateway"
	"comet/gateway/conn"
	"comet/gateway/hook"
	"comet/gateway/limit"
	"comet/pubsub"
)

// A panic in what is asked, on the fast path or through net/http, keeps no
// connection counted, no channel open, and no other client waiting.
func TestPanicReleases(t *testing.T) {
	t.Parallel()
	if *portableFlag {
		t.Skip("without parking there is no fast path")
	}
	c := overMemory(t, setup{gateway: gateway.Options{
		Asker:  &hook.Asker{}, // panics when it is asked
		Policy: gateway.Policy{Limiter: limit.New(limit.Options{AddressConnections: 2})},
	}})
	n := c.nodes[0]
	n.openChannels(t, "c", "d")
	for range 5 { // more than the address may have at a time
		for _, target := range []string{"/v1/events?channel=c", "/v1/poll?channel=c", "/v1/events?channel=c&channel=d"} {
			p := dial(t, n)
			p.write(t, "GET "+target+" HTTP/1.1\r\nHost: h\r\n\r\n")
			if all, err := io.ReadAll(p.r); err != nil || len(all) > 0 {
				t.Errorf("%s: answered %q, %v, want the end", target, all, err)
			}
		}
	}
	if held := n.gateway.Connections(); held != 0 {
		t.Errorf("%d streams and polls count", held)
	}
	if users := n.channelUsers(t, "c"); users != 1 {
		t.Errorf("%d use the channel, want the test alone", users)
	}
}

// A panic in what is told of streams and polls ends none of them, nor their count.
func TestPanicBeside(t *testing.T) {
	t.Parallel()
	c := overMemory(t, setup{gateway: gateway.Options{Events: &hook.Events{}}}) // panics when it is told
	n := c.nodes[0]
	first := knock(t, n, "/v1/events?channel=c", "")
	second := knock(t, n, "/v1/events?channel=c", "") // by the fast path
	c.publish("c", `"hello"`)
	for _, v := range []*visitor{first, second} {
		v.await(t, `"data":"hello"`)
		v.Close()
	}
	for late := time.Now().Add(patience); n.gateway.Connections() != 0; {
		if time.Now().After(late) {
			t.Fatalf("%d streams count", n.gateway.Connections())
		}
	}
}

// A stream whose place moves while it begins, and which therefore goes through
// net/http, costs its client one request.
func TestFallbackPaysOnce(t *testing.T) {
	t.Parallel()
	if *portableFlag {
		t.Skip("without parking there is no fast path")
	}
	var moves atomic.Bool
	moved := make(chan struct{}, 1)
	c := overMemory(t, setup{
		gateway: gateway.Options{Policy: gateway.Policy{Limiter: limit.New(limit.Options{AddressRequests: limit.Rate{PerSecond: 0.001, Burst: 2}})}},
		door: func(n *node, d conn.FastPath) conn.FastPath {
			stream := d.Stream
			d.Stream = func(r *http.Request) (next conn.FastResult, ok bool) {
				if next, ok = stream(r); ok && moves.Swap(false) {
					n.hub.Publish(t.Context(), []pubsub.Draft{{Channel: "c", Data: []byte("1")}})
					for behind := []pubsub.Item(nil); len(behind) == 0; {
						behind, _ = next.Channels[0].From(next.Positions[0], 1)
					}
					moved <- struct{}{}
				}
				return next, ok
			}
			return d
		},
	})
	n := c.nodes[0]
	first := knock(t, n, "/v1/events?channel=c", "") // the first of two requests
	first.await(t, "comet.ready")
	moves.Store(true)
	second := knock(t, n, "/v1/events?channel=c", "")
	line, err := second.r.ReadString('\n')
	if err != nil || !strings.Contains(line, " 200 ") {
		t.Errorf("answered %q, %v", line, err)
	}
	select {
	case <-moved:
	case <-time.After(patience):
		t.Error("it did not come by the fast path: nothing is tested")
	}
}

// openChannels keeps channels open, so that the fast path can be taken.
func (n *node) openChannels(t *testing.T, channels ...string) {
	t.Helper()
	var starts []pubsub.Start
	for _, c := range channels {
		starts = append(starts, pubsub.Start{Channel: c})
	}
	s, err := n.hub.Subscribe(t.Context(), starts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
}

// channelUsers is how many subscribers the hub counts for a channel.
func (n *node) channelUsers(t *testing.T, channel string) int {
	t.Helper()
	top, _ := n.hub.Busiest(1, func(c string) bool { return c == channel })
	if len(top) == 0 {
		return 0
	}
	return int(top[0].Subscribers)
}
