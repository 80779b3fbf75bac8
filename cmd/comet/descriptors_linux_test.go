package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"comet/internal/servertest"
)

// TestIdleFlood checks that a node with few descriptors still answers operators and
// other addresses while one address opens many connections and leaves them idle,
// half sent, silent or kept alive after a poll.
func TestIdleFlood(t *testing.T) {
	t.Parallel()
	const half = "GET / HTTP/1.1\r\nHost: "
	const poll = "GET /v1/poll?channel=c&wait=1ms HTTP/1.1\r\nHost: h\r\n\r\n"
	const whole = "GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n"
	for _, test := range []struct {
		name        string
		descriptors int
		request     string
		args        []string
	}{
		{"idle", 64, whole, nil},
		{"half sent", 200, half, nil},
		{"resting", 300, poll, nil},
		{"silent", 300, "", nil},
		{"limited", 400, whole, []string{"--limits-address-connections", "20"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"serve", "--http-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--limits-connections", "9999"}, test.args...)
			p := setup{descriptors: test.descriptors}.start(t, args...)
			served := p.awaitErr(`msg=serving .*url=http://(\S+) admin=(\S+)`)
			url, admin := served[1], served[2]
			p.awaitErr("limits.connections exceeds the descriptor limit")
			var all []net.Conn
			for range test.descriptors + 20 {
				c := dialFrom(t, "127.0.0.9", url)
				_ = c.SetDeadline(time.Now().Add(deadline))
				_, _ = io.WriteString(c, test.request)
				all = append(all, c)
			}
			for _, c := range all {
				if strings.HasSuffix(test.request, "\r\n\r\n") {
					_, _ = c.Read(make([]byte, 1024)) // a refused connection may read anything
				}
			}
			if r := servertest.Get(t, admin+"/readyz"); r.StatusCode != http.StatusOK {
				t.Errorf("readiness: %s", r.Status)
			}
			answered := func() string {
				c := dialFrom(t, "127.0.0.2", url)
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(deadline))
				fmt.Fprintf(c, "GET /v1/poll?channel=c&wait=0 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
				b, _ := io.ReadAll(c)
				return string(b)
			}
			late := time.Now().Add(deadline)
			for !strings.HasPrefix(answered(), "HTTP/1.1 200 ") { // connections that have just come stay for a moment
				if time.Now().After(late) {
					t.Fatalf("another address is answered %q", answered())
				}
			}
		})
	}
}

// dialFrom connects from a local address; the connection closes with the test.
func dialFrom(t testing.TB, from, to string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: deadline}
	c, err := d.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
