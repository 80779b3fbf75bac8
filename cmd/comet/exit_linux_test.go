package main

import (
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"comet/gateway/wire"
	"comet/internal/servertest"
	"comet/pubsub/redistest"
)

// TestExitInTime checks that a node ends 5 s after drain.delay and drain.spread at
// the latest, whatever its Redis and its clients do, and sends comet.bye to the
// clients that read.
func TestExitInTime(t *testing.T) {
	t.Parallel()
	const delay, spread = 200 * time.Millisecond, 500 * time.Millisecond
	for name, harm := range map[string]func(*redistest.Server){
		"well":        nil,
		"frozen":      (*redistest.Server).Freeze,
		"gone":        (*redistest.Server).Kill,
		"never there": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redis := redistest.Start(t, redistest.TCP)
			address := redis.Addr()
			if name == "never there" {
				address = unusedAddress(t)
			}
			p, url, _ := startNodeWithAdmin(t, "--redis-addresses", address, "--drain-delay", delay.String(), "--drain-spread", spread.String(), "--presence-ttl", "5s")
			var events *wire.Reader
			if name != "never there" {
				for range 40 { // more than the socket buffers hold
					if r := servertest.Ask(t, http.MethodPost, url+"/v1/channels/big/messages", strings.Repeat("x", 60_000), "Content-Type", "text/plain"); r.StatusCode != http.StatusCreated {
						t.Fatal(r.Status)
					}
				}
				events, _ = servertest.OpenStream(t, url+"/v1/events?channel=news")
			}
			if harm != nil {
				harm(redis)
			}
			host := strings.TrimPrefix(url, "http://")
			const many = "channel=a&channel=b&channel=c&channel=d&channel=e&channel=f&channel=g&channel=h&cursor=earliest"
			for _, request := range []string{
				"GET /v1/events?channel=big&cursor=earliest HTTP/1.1\r\nHost: h\r\n\r\n", // does not read
				"GET /v1/events?" + many + " HTTP/1.1\r\nHost: h\r\n\r\n",
				"GET /v1/poll?channel=big&cursor=earliest HTTP/1.1\r\nHost: h\r\n\r\n",
				"GET /v1/poll?channel=news HTTP/1.1\r\nHost: h\r\n\r\n",
				"POST /v1/channels/news/messages HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n1",
				"POST /v1/channels/news/messages HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n1",
				"GET /v1/channels/big/messages HTTP/1.1\r\nHost: ",
			} {
				c := dialSmall(t, "127.0.0.1", host)
				if _, err := io.WriteString(c, request); err != nil {
					t.Fatal(err)
				}
			}
			began := time.Now()
			p.signal(syscall.SIGTERM)
			if events != nil {
				e := servertest.NextEvent(t, events)
				for e.Kind == wire.KindMessage {
					e = servertest.NextEvent(t, events)
				}
				if e.Kind != wire.KindBye || e.Reason != "shutdown" {
					t.Errorf("a stream got %+v, want comet.bye", e)
				}
			}
			p.wait()
			took := time.Since(began)
			t.Logf("ended %v after the signal", took)
			if slack := 10 * time.Second; took > delay+spread+5*time.Second+slack { // of a loaded machine; a write that is stalled takes 30 s
				t.Errorf("ended %v after the signal", took)
			}
			p.awaitErr("msg=\"drain finished\"")
		})
	}
}

// unusedAddress returns an address on which nothing listens.
func unusedAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// dialSmall connects from a local address with a small receive buffer; the client
// reads nothing.
func dialSmall(t testing.TB, from, to string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: deadline, Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10) })
	}}
	c, err := d.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
