package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"comet/gateway/wire"
)

// odd are requests that no browser sends, and how the answer begins.
var odd = map[string]struct{ request, answer string }{
	"HTTP/1.0":            {"GET /v1/events?channel=c HTTP/1.0\r\n\r\n", "HTTP/1.0 200"},
	"HTTP/1.0 keep-alive": {"GET /v1/events?channel=c HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "HTTP/1.0 200"},
	"close":               {"GET /v1/events?channel=c HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "HTTP/1.1 200"},
	"HEAD":                {"HEAD /v1/events?channel=c HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 405"},
	"Expect":              {"GET /v1/events?channel=c HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n", "HTTP/1.1 200"},
	"Expect with a body":  {"GET /v1/events?channel=c HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 200"},
	"bytes behind it":     {"GET /v1/events?channel=c HTTP/1.1\r\nHost: h\r\n\r\nwhatever\r\n\r\n", "HTTP/1.1 200"},
	"a request behind it": {"GET /v1/events?channel=c HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200"},
	"absolute-form":       {"GET http://h/v1/events?channel=c HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200"},
	"many headers":        {"GET /v1/events?channel=c HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("X-Much: "+strings.Repeat("y", 1000)+"\r\n", 100) + "\r\n", "HTTP/1.1 200"},
	"a poll, HTTP/1.0":    {"GET /v1/poll?channel=c&wait=10ms HTTP/1.0\r\n\r\n", "HTTP/1.0 200"},
	"a poll with a body":  {"GET /v1/poll?channel=c&wait=1100ms HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 200"},
	"nonsense":            {"\x00\r\n\r\n", "HTTP/1.1 400"},
	"no Host":             {"GET /v1/events?channel=c HTTP/1.1\r\n\r\n", "HTTP/1.1 400"},
}

// Odd clients get the stream, or the answer, that their request means.
func TestOddClients(t *testing.T) {
	t.Parallel()
	c := overMemory(t, setup{})
	for name, test := range odd {
		t.Run(name, func(t *testing.T) {
			r := rawRequest(t, c.nodes[0], test.request)
			line, err := r.ReadString('\n')
			if err != nil || !strings.HasPrefix(line, test.answer) {
				t.Fatalf("got %q, %v, want %s", line, err, test.answer)
			}
			if !strings.Contains(test.request, "GET") || !strings.Contains(test.request, "/events") || !strings.HasSuffix(test.answer, "200") {
				return
			}
			waitFor(t, r, "event: comet.ready\n")
			c.publish("c", `"for `+name+`"`)
			waitFor(t, r, `"data":"for `+name+`"`)
		})
	}
}

// rawRequest sends text and returns what reads the answer.
func rawRequest(t testing.TB, n *node, text string) *bufio.Reader {
	t.Helper()
	connection, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	_ = connection.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(connection, text); err != nil {
		t.Fatal(err)
	}
	return bufio.NewReader(connection)
}

// waitFor reads lines until one has text.
func waitFor(t testing.TB, r *bufio.Reader, text string) {
	t.Helper()
	for {
		line, err := r.ReadString('\n')
		if strings.Contains(line, text) {
			return
		}
		if err != nil {
			t.Fatalf("no %q: %v", text, err)
		}
	}
}

// Over TLS and HTTP/2 a stream is not parked, and has the same events.
func TestTLS(t *testing.T) {
	t.Parallel()
	for _, version := range []int{1, 2} {
		c := overMemory(t, setup{})
		server := httptest.NewUnstartedServer(c.nodes[0].gateway)
		server.EnableHTTP2 = version == 2
		server.StartTLS()
		t.Cleanup(server.Close)
		res, err := server.Client().Get(server.URL + "/v1/events?channel=c&channel=d")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		if res.ProtoMajor != version {
			t.Fatalf("got %s", res.Proto)
		}
		s := &stream{t: t, events: wire.NewReader(res.Body, wire.SSE)}
		s.want("ready")
		c.publish("c", "1")
		c.publish("d", "2")
		s.want("1", "2")
	}
}

// Whatever comes to a node's listener, in whatever pieces, also on a connection
// that is parked: parked streams get every message.
func FuzzRequestEdge(f *testing.F) {
	for _, test := range odd {
		f.Add([]byte(test.request), uint16(7), false)
		f.Add([]byte(test.request), uint16(1000), true)
	}
	c := overMemory(f, setup{})
	res, err := c.begin(f.Context(), c.nodes[0], get("/v1/events?channel=live"))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { res.Body.Close() })
	events := wire.NewReader(res.Body, wire.SSE)
	sent := 0
	f.Fuzz(func(t *testing.T, text []byte, cut uint16, behindStream bool) {
		connection, err := net.Dial("tcp", strings.TrimPrefix(c.nodes[0].url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
		_ = connection.SetDeadline(time.Now().Add(patience))
		if behindStream {
			fmt.Fprint(connection, "GET /v1/events?channel=live HTTP/1.1\r\nHost: h\r\n\r\n")
			waitFor(t, bufio.NewReader(connection), "comet.ready")
		}
		at := min(len(text), int(cut))
		for _, part := range [][]byte{text[:at], text[at:]} {
			if _, err := connection.Write(part); err != nil {
				break // refused, which is an answer
			}
		}
		sent++
		res, err := http.Post(c.nodes[0].url+channelPath("live"), asJSON, strings.NewReader(fmt.Sprint(sent)))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusCreated {
			t.Fatal(res.Status)
		}
		for got := ""; got != fmt.Sprint(sent); { // text may have published, too
			e, err := events.Next()
			if err != nil {
				t.Fatal(err)
			}
			got = tell(e)
		}
	})
}
