package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"reflect"
	"slices"
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

// Clients that the fast path accepts see the same as through net/http.
func TestFastPath(t *testing.T) {
	t.Parallel()
	if *portableFlag {
		t.Skip("without parking there is no fast path")
	}
	for _, target := range []string{
		"/v1/events?channel=c",
		"/v1/events?channel=c&format=raw",
		"/v1/events?channel=c&channel=d",
		"/v1/events?channel=c&cursor={cursor}",
		"/v1/events?channel=c&cursor=earliest&lastEventId={cursor}",
		"/v1/events?channel=c&last=9&Last-Event-ID={cursor}",
		"/v1/poll?channel=c",
		"/v1/poll?channel=c&channel=d",
		"/v1/poll?channel=c&cursor={cursor}",
	} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			c := overMemory(t, setup{})
			n := c.nodes[0]
			first := openRaw(t, n, "/v1/events?channel=c&channel=d", "") // opens the channels
			target := strings.ReplaceAll(target, "{cursor}", c.publish("c", `"before"`))
			first.await(t, "before")
			long := openRaw(t, n, target, "X: a field twice\r\nX: is not for the fast path\r\n")
			if fastAccepts := n.fastAccepts.Load(); fastAccepts != 0 {
				t.Fatalf("%d came by the fast path, want none yet", fastAccepts)
			}
			short := openRaw(t, n, target, "X: is for the fast path\r\n")
			for late := time.Now().Add(patience); n.fastAccepts.Load() != 1; {
				if time.Now().After(late) {
					t.Fatalf("%d came by the fast path, want 1", n.fastAccepts.Load())
				}
			}
			c.publish("c", `"hello"`)
			want, got := long.read(t), short.read(t)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("on the fast path:\n%q\nthrough net/http:\n%q", got, want)
			}
		})
	}
}

// net/http answers requests that the fast path does not accept.
func TestFastPathRefuses(t *testing.T) {
	t.Parallel()
	c := overMemory(t, setup{})
	n := c.nodes[0]
	openRaw(t, n, "/v1/events?channel=c", "")
	for target, status := range map[string]int{
		"/v1/events":                                http.StatusBadRequest,
		"/v1/events?channel=c&format=x":             http.StatusBadRequest,
		"/v1/events?channel=c&cursor=x":             http.StatusBadRequest,
		"/v1/events?channel=c&lastEventID=x":        http.StatusBadRequest,
		"/v1/poll?channel=c&wait=1h":                http.StatusBadRequest,
		"/v1/poll?channel=c&wait=0":                 http.StatusOK,
		"/v1/channels/c/messages":                   http.StatusOK,
		"/v1/nothing":                               http.StatusNotFound,
		"/v1/poll?channel=c&cursor=earliest&wait=0": http.StatusOK,
	} {
		before := n.fastAccepts.Load()
		line, err := openRaw(t, n, target, "").r.ReadString('\n')
		if err != nil || !strings.Contains(line, fmt.Sprint(" ", status, " ")) {
			t.Errorf("%s: %q, %v; want status %d", target, line, err, status)
		}
		if n.fastAccepts.Load() != before {
			t.Errorf("%s came by the fast path", target)
		}
	}
}

// A client that resumes after old messages goes through net/http, which alone
// counts the request.
func TestFastPathCountsOnce(t *testing.T) {
	t.Parallel()
	limiter := limit.New(limit.Options{AddressRequests: limit.Rate{PerSecond: 0.001, Burst: 4}})
	c := overMemory(t, setup{gateway: gateway.Options{Policy: gateway.Policy{Limiter: limiter}}})
	n := c.nodes[0]
	first := openRaw(t, n, "/v1/events?channel=c", "")
	cursor := c.publish("c", `"one"`)
	c.publish("c", `"two"`)
	first.await(t, "two")
	openRaw(t, n, "/v1/events?channel=c&cursor="+cursor, "").await(t, "two")
	if n.fastAccepts.Load() != 0 {
		t.Error("it came by the fast path")
	}
}

// A request that comes in pieces is no less a request.
func TestFastPathInPieces(t *testing.T) {
	t.Parallel()
	c := overMemory(t, setup{})
	n := c.nodes[0]
	first := openRaw(t, n, "/v1/events?channel=c", "")
	request := "GET /v1/events?channel=c HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
	var streams []*rawConn
	for cut := 1; cut < len(request); cut += 7 {
		v := dial(t, n)
		v.write(t, request[:cut])
		v.write(t, request[cut:])
		streams = append(streams, v)
	}
	for _, v := range streams {
		v.await(t, "comet.ready")
	}
	c.publish("c", `"hello"`)
	for _, v := range append(streams, first) {
		v.await(t, `"data":"hello"`)
	}
}

// rawConn is a connection by hand.
type rawConn struct {
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, n *node) *rawConn {
	t.Helper()
	c, err := net.Dial("tcp", n.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return &rawConn{c, bufio.NewReader(c)}
}

// openRaw asks for target; of a stream it waits for the beginning, of a poll
// until it is held.
func openRaw(t *testing.T, n *node, target, header string) *rawConn {
	t.Helper()
	v := dial(t, n)
	held := n.gateway.Connections()
	v.write(t, "GET "+target+" HTTP/1.1\r\nHost: h\r\n"+header+"\r\n")
	if strings.HasPrefix(target, "/v1/poll?channel=c") && !strings.Contains(target, "wait") {
		for late := time.Now().Add(patience); n.gateway.Connections() == held; {
			if time.Now().After(late) {
				t.Fatal("the poll is not held")
			}
		}
		return v
	}
	if _, err := v.r.Peek(1); err != nil {
		t.Fatal(err)
	}
	return v
}

func (v *rawConn) write(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(v, text); err != nil {
		t.Fatal(err)
	}
}

// await reads lines until one holds text.
func (v *rawConn) await(t *testing.T, text string) {
	t.Helper()
	for {
		line, err := v.r.ReadString('\n')
		if err != nil {
			t.Fatalf("waiting for %q: %v", text, err)
		}
		if strings.Contains(line, text) {
			return
		}
	}
}

// read is the answer's lines up to the message, without its date.
func (v *rawConn) read(t *testing.T) (lines []string) {
	t.Helper()
	for {
		line, err := v.r.ReadString('\n')
		if err != nil {
			t.Fatalf("%v after %q", err, lines)
		}
		if !strings.HasPrefix(line, "Date: ") {
			lines = append(lines, line)
		}
		if strings.Contains(line, "hello") {
			return lines
		}
	}
}

// On the fast path pages of other origins are answered as through net/http, to each
// its own, also on a connection that polls again.
func TestCORSOnFastPath(t *testing.T) {
	t.Parallel()
	if *portableFlag {
		t.Skip("without parking there is no fast path")
	}
	const page, other = "https://app.example", "https://other.example"
	c := overMemory(t, setup{gateway: gateway.Options{Policy: gateway.Policy{Origins: []string{page, other}}}, heartbeat: time.Second})
	n := c.nodes[0]
	c.openAt(n, "channel=c").want("ready") // opens the channel
	again := newPoller(t, n)
	for _, origin := range []string{page, "https://evil.example", other, ""} {
		header := []string{"Host", "h"}
		if origin != "" {
			header = append(header, "Origin", origin)
		}
		allow := ""
		if origin == page || origin == other {
			allow = origin
		}
		for _, target := range []string{"/v1/events?channel=c", "/v1/poll?channel=c&wait=1ms"} {
			long, short := newPoller(t, n), newPoller(t, n)
			long.bring(request{"GET", target, "", append(slices.Clone(header), "X", "twice", "X", "is not for the fast path")})
			want := long.whole().header
			before := n.fastAccepts.Load()
			short.bring(request{"GET", target, "", header})
			got := short.whole().header
			if n.fastAccepts.Load() == before {
				t.Errorf("%s from %q did not come by the fast path", target, origin)
			}
			want.Del("Date")
			got.Del("Date")
			if !maps.EqualFunc(got, want, slices.Equal) || got.Get("Access-Control-Allow-Origin") != allow {
				t.Errorf("%s from %q: on the fast path %v, through net/http %v", target, origin, got, want)
			}
			long.Close()
			short.Close()
		}
		again.bring(request{"GET", "/v1/poll?channel=c&wait=1ms", "", header})
		if a := again.whole(); a.header.Get("Access-Control-Allow-Origin") != allow {
			t.Errorf("polling again from %q: %v", origin, a.header)
		}
	}
}

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

// A panic in a callback of streams and polls ends none of them, nor their count.
func TestPanicInCallback(t *testing.T) {
	t.Parallel()
	c := overMemory(t, setup{gateway: gateway.Options{Events: &hook.Events{}}}) // panics when it is called
	n := c.nodes[0]
	first := openRaw(t, n, "/v1/events?channel=c", "")
	second := openRaw(t, n, "/v1/events?channel=c", "") // by the fast path
	c.publish("c", `"hello"`)
	for _, v := range []*rawConn{first, second} {
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
		fastPath: func(n *node, d conn.FastPath) conn.FastPath {
			stream := d.Stream
			d.Stream = func(r *http.Request) (next conn.FastResult, ok bool) {
				if next, ok = stream(r); ok && moves.Swap(false) {
					n.hub.Publish(t.Context(), []pubsub.Draft{{Channel: "c", Data: []byte("1")}})
					for behind := []pubsub.Item(nil); len(behind) == 0; {
						behind, _ = next.Channels[0].ItemsFrom(next.Positions[0], 1)
					}
					moved <- struct{}{}
				}
				return next, ok
			}
			return d
		},
	})
	n := c.nodes[0]
	first := openRaw(t, n, "/v1/events?channel=c", "") // the first of two requests
	first.await(t, "comet.ready")
	moves.Store(true)
	second := openRaw(t, n, "/v1/events?channel=c", "")
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
