package gateway_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"comet/gateway"
	"comet/gateway/wire"
)

// compressing is a setup whose nodes compress.
var compressing = setup{gateway: gateway.Options{Compress: true}}

// gzipStream is a stream whose body the test decodes itself.
type gzipStream struct {
	*wire.Reader
	response *http.Response
}

// openGzip opens a stream with this Accept-Encoding.
func openGzip(t *testing.T, client *http.Client, url, accept, acceptEncoding string, x ...string) *gzipStream {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", accept)
	r.Header.Set("Accept-Encoding", acceptEncoding) // so that the transport does not decode
	r.Header["X"] = x                               // twice is not for the fast path
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); res.Body.Close() })
	if res.StatusCode != http.StatusOK {
		t.Fatal(res.Status)
	}
	format := wire.SSE
	if strings.Contains(url, "format=raw") {
		format = wire.SSERaw
	}
	if res.Header.Get("Content-Type") == wire.NDJSON.ContentType() {
		format = wire.NDJSON
	}
	var body io.Reader = res.Body
	if res.Header.Get("Content-Encoding") == "gzip" {
		if body, err = gzip.NewReader(body); err != nil {
			t.Fatal(err)
		}
	}
	return &gzipStream{wire.NewReader(body, format), res}
}

// await reads events until a message with the data; ready and messages before it are
// counted.
func (s *gzipStream) await(t *testing.T, data string) (before int) {
	t.Helper()
	for ; ; before++ {
		e, err := s.Next()
		if err != nil {
			t.Fatalf("waiting for %s: %v", data, err)
		}
		if e.Kind == wire.KindMessage && string(e.Message.Data) == data {
			return before
		}
	}
}

// Streams are compressed for clients that accept gzip, on every way into a node, and
// deliver each message at once.
func TestCompress(t *testing.T) {
	t.Parallel()
	c := overMemory(t, compressing)
	n := c.nodes[0]
	c.publish("c", `"old"`)
	opened := openGzip(t, c.http, n.url+"/v1/events?channel=c&channel=d&channel=p%2F1", "", "identity")
	secure := httptest.NewUnstartedServer(n.gateway)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	t.Cleanup(secure.Close)
	var all []*gzipStream
	for _, test := range []struct {
		query, accept, encoding string
		gzip, vary              bool
	}{
		{"channel=c", "", "gzip, deflate, br, zstd", true, true},
		{"channel=c&last=1", "", "gzip", true, true},
		{"channel=c&format=raw", "text/event-stream", "gzip", true, true},
		{"channel=c", asLines, "gzip", true, true},
		{"channel=c&channel=d", "", "gzip", false, false},
		{"channel=c", "", "gzip;q=0", false, true},
		{"channel=c", "", "identity", false, true},
	} {
		for _, way := range []string{"fast", "net/http", "HTTP/2"} {
			client, url, before := c.http, n.url, n.fastAccepts.Load()
			var x []string
			switch way {
			case "net/http":
				x = []string{"1", "2"}
			case "HTTP/2":
				client, url = secure.Client(), secure.URL
			}
			s := openGzip(t, client, url+"/v1/events?"+test.query, test.accept, test.encoding, x...)
			h := s.response.Header
			if got := h.Get("Content-Encoding") == "gzip"; got != test.gzip {
				t.Errorf("%s %+v: compressed: %v", way, test, got)
			}
			if got := h.Get("Vary") == "Accept-Encoding"; got != test.vary {
				t.Errorf("%s %+v: Vary: %q", way, test, h.Values("Vary"))
			}
			if fast := n.fastAccepts.Load() > before; fast != (way == "fast" && !*portableFlag && !strings.Contains(test.query, "last=")) {
				t.Errorf("%s %+v: by the fast path: %v", way, test, fast)
			}
			all = append(all, s)
		}
	}
	for i := range 30 {
		data := fmt.Sprintf(`"message %d"`, i)
		c.publish("c", data)
		for _, s := range append(all, opened) {
			s.await(t, data)
		}
	}
	n.gateway.Drain(0)
	for _, s := range all {
		e, err := s.Next()
		for err == nil && e.Kind != wire.KindBye {
			e, err = s.Next()
		}
		if err != nil {
			t.Errorf("%s: waiting for the bye: %v", s.response.Request.URL, err)
			continue
		}
		if _, err = s.Next(); !errors.Is(err, io.EOF) { // with a right trailer
			t.Errorf("%s: at the end: %v", s.response.Request.URL, err)
		}
	}
}

// A replay from the log is compressed too.
func TestCompressReplay(t *testing.T) {
	overEach(t, compressing, func(t *testing.T, c *cluster) {
		for i := range 300 {
			c.publish("c", fmt.Sprintf(`{"n":%d}`, i))
		}
		s := openGzip(t, c.http, c.nodes[0].url+"/v1/events?channel=c&cursor=earliest", "", "gzip")
		if before := s.await(t, `{"n":299}`); s.response.Header.Get("Content-Encoding") != "gzip" || before != 300 {
			t.Errorf("got %d events before the last one; %v", before, s.response.Header)
		}
		c.publish("c", `"live"`)
		s.await(t, `"live"`)
	})
}

// Without the setting nothing is compressed, and nothing varies.
func TestCompressOff(t *testing.T) {
	t.Parallel()
	c := overMemory(t, setup{})
	for range 2 { // through net/http and on the fast path
		h := openGzip(t, c.http, c.nodes[0].url+"/v1/events?channel=c", "", "gzip").response.Header
		if h.Get("Content-Encoding") != "" || h.Get("Vary") != "" {
			t.Errorf("%v", h)
		}
	}
}
