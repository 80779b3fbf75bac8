package gateway_test

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"comet/gateway/wire"
)

// odd are requests that few clients send, and how each answer begins. CURSOR
// stands for one that is in the tail.
var odd = map[string]struct {
	text    string
	answers []string
}{
	"HTTP/1.0":            {"GET /v1/events?channel=c HTTP/1.0\r\n\r\n", []string{"HTTP/1.0 200"}},
	"HTTP/1.0 keep-alive": {"GET /v1/events?channel=c HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", []string{"HTTP/1.0 200"}},
	"close":               {"GET /v1/events?channel=c HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", ok},
	"HEAD":                {"HEAD /v1/events?channel=c HTTP/1.1\r\nHost: h\r\n\r\n", []string{"HTTP/1.1 405"}},
	"Expect":              {"GET /v1/events?channel=c HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n", ok},
	"Expect with a body":  {"GET /v1/events?channel=c HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc", ok},
	"bytes behind it":     {"GET /v1/events?channel=c HTTP/1.1\r\nHost: h\r\n\r\nwhatever\r\n\r\n", ok},
	"a request behind it": {"GET /v1/events?channel=c HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", ok},
	"absolute-form":       {"GET http://h/v1/events?channel=c HTTP/1.1\r\nHost: h\r\n\r\n", ok},
	"many headers":        {"GET /v1/events?channel=c HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("X-Much: "+strings.Repeat("y", 1000)+"\r\n", 100) + "\r\n", ok},
	"nonsense":            {"\x00\r\n\r\n", bad},
	"no Host":             {"GET /v1/events?channel=c HTTP/1.1\r\n\r\n", bad},

	"a poll":                    {briefPoll + "Host: h\r\n\r\n", ok},
	"a poll over HTTP/1.0":      {"GET /v1/poll?channel=live&wait=10ms&cursor=CURSOR HTTP/1.0\r\n\r\n", []string{"HTTP/1.0 200"}},
	"a poll, then close":        {briefPoll + "Host: h\r\nConnection: close\r\n\r\n", ok},
	"a poll with HEAD":          {"HEAD /v1/poll?channel=c HTTP/1.1\r\nHost: h\r\n\r\n", []string{"HTTP/1.1 405"}},
	"a poll with Expect":        {briefPoll + "Host: h\r\nExpect: 100-continue\r\n\r\n", ok},
	"a poll with Upgrade":       {briefPoll + "Host: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", ok},
	"a poll with a body":        {briefPoll + "Host: h\r\nContent-Length: 3\r\n\r\nabc", ok},
	"a poll with chunks":        {briefPoll + "Host: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", ok},
	"a poll with bare newlines": {strings.ReplaceAll(briefPoll+"Host: h\r\n\r\n", "\r", ""), ok},
	"a poll, absolute-form":     {strings.Replace(briefPoll, "/v1", "http://h/v1", 1) + "Host: h\r\n\r\n", ok},
	"a poll without Host":       {briefPoll + "\r\n", bad},
	"a poll with a bad Host":    {briefPoll + "Host: h h\r\n\r\n", bad},
	"a poll with two Hosts":     {briefPoll + "Host: h\r\nHost: i\r\n\r\n", bad},
	"a poll with a bad header":  {briefPoll + "Host: h\r\nX-Bad: \x01\r\n\r\n", bad},
	"a poll of no channel":      {"GET /v1/poll HTTP/1.1\r\nHost: h\r\n\r\n", bad},
	"two polls":                 {briefPoll + "Host: h\r\n\r\n" + briefPoll + "Host: h\r\n\r\n", slices.Concat(ok, ok)},
	"a poll, then a publish":    {briefPoll + "Host: h\r\n\r\n" + publishOne, slices.Concat(ok, created)},
	"a publish, then a poll":    {publishOne + briefPoll + "Host: h\r\n\r\n", slices.Concat(created, ok)},
	"a publish with chunks":     {publishHead + "Transfer-Encoding: chunked\r\n\r\n1\r\n4\r\n1\r\n2\r\n0\r\n\r\n", created},
	"a publish with Expect":     {publishHead + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n42", slices.Concat([]string{"HTTP/1.1 100"}, created)},
}

const (
	briefPoll   = "GET /v1/poll?channel=live&wait=10ms&cursor=CURSOR HTTP/1.1\r\n"
	publishHead = "POST " + publishTo + " HTTP/1.1\r\nHost: h\r\nContent-Type: " + asJSON + "\r\n"
	publishOne  = publishHead + "Content-Length: 2\r\n\r\n42"
)

var (
	ok      = []string{"HTTP/1.1 200"}
	created = []string{"HTTP/1.1 201"}
	bad     = []string{"HTTP/1.1 400"}
)

// Odd clients get the stream, or the answers, that their request means, whatever
// their connection was used for before.
func TestOddClients(t *testing.T) {
	t.Parallel()
	c := overMemory(t, setup{heartbeat: 320 * time.Millisecond}) // polls end soon after their time
	e := newEdge(t, c.nodes[0])
	for m := range behindStream {
		for name, test := range odd {
			t.Run(m.String()+"/"+name, func(t *testing.T) {
				e.lend(t)
				p := newPoller(t, e.node)
				e.write(p, e.bring(p, m)+e.text(test.text))
				e.answered(p, m)
				for _, want := range test.answers {
					method, _, _ := strings.Cut(test.text, " ")
					res, err := http.ReadResponse(p.r, &http.Request{Method: method})
					if err != nil {
						t.Fatalf("%v, want %s", err, want)
					}
					if got := res.Proto + " " + res.Status; !strings.HasPrefix(got, want) {
						t.Fatalf("got %s, want %s", got, want)
					}
					body := bufio.NewReader(res.Body)
					if res.Header.Get("Content-Type") == wire.SSE.ContentType() {
						waitFor(t, body, "event: comet.ready\n")
						e.post("c", `"for `+name+`"`)
						waitFor(t, body, `"data":"for `+name+`"`)
						break
					}
					if _, err := io.Copy(io.Discard, body); err != nil {
						t.Fatal(err)
					}
				}
				p.Close()
				e.settled()
			})
		}
	}
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
