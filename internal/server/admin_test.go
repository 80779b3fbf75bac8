package server

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
	"comet/internal/servertest"
	"comet/internal/testenv"
)

func TestAdmin(t *testing.T) {
	t.Parallel()
	node, url, admin := startNodeWithAdmin(t)
	for _, test := range []struct {
		method, path string
		status       int
		want         string // a part of the body
	}{
		{http.MethodGet, "/healthz", http.StatusOK, "ok\n"},
		{http.MethodGet, "/metrics", http.StatusOK, "\nprocess_open_fds "},
		{http.MethodGet, "/debug/pprof/", http.StatusOK, "goroutine"},
		{http.MethodGet, "/debug/pprof/heap?debug=1", http.StatusOK, "heap profile"},
		{http.MethodGet, "/debug/pprof/cmdline", http.StatusNotFound, ""}, // may have a password
		{http.MethodPost, "/healthz", http.StatusMethodNotAllowed, ""},
		{http.MethodGet, "/", http.StatusOK, "dashboard.js"},
		{http.MethodHead, "/dashboard.js", http.StatusOK, ""},
		{http.MethodGet, "/chat.js", http.StatusNotFound, ""},
		{http.MethodGet, "/v1/nodes", http.StatusOK, `"interval_ms":2000`},
		{http.MethodGet, "/v1/channels", http.StatusOK, `"complete":true`},
		{http.MethodGet, "/v1/channels?limit=0", http.StatusBadRequest, "limit must be"},
		{http.MethodGet, "/v1/channels/news/messages", http.StatusOK, `"messages":[]`},
		{http.MethodGet, "/v1/poll?channel=news", http.StatusNotFound, ""},
	} {
		response := servertest.Send(t, test.method, admin+test.path)
		if body := servertest.Body(t, response); response.StatusCode != test.status || !strings.Contains(body, test.want) {
			t.Errorf("%s %s: %s, want %d with %q\n%s", test.method, test.path, response.Status, test.status, test.want, body)
		}
	}
	for _, path := range []string{"/healthz", "/metrics", "/debug/pprof/", "/v1/nodes", "/v1/channels", "/dashboard.js"} {
		if response := servertest.Get(t, url+path); response.StatusCode != http.StatusNotFound {
			t.Errorf("clients can have %s: %s", path, response.Status)
		}
	}
	node.wantLeave()
}

// Without a token a page whose name leads to this machine, or of another site,
// learns nothing, and can do nothing; probes may call it anything.
func TestAdminRebinding(t *testing.T) {
	t.Parallel()
	_, _, admin := startNodeWithAdmin(t)
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(admin, "http://"))
	for _, test := range []struct {
		method, path, host string
		status             int
		site               string // of the page that asks, to the browser
	}{
		{http.MethodGet, "/v1/nodes", "localhost:" + port, http.StatusOK, ""},
		{http.MethodGet, "/v1/nodes", "localhost:" + port, http.StatusOK, "same-origin"},
		{http.MethodGet, "/metrics", "localhost:" + port, http.StatusOK, "none"},
		{http.MethodGet, "/debug/pprof/profile", "127.0.0.1:" + port, http.StatusForbidden, "cross-site"},
		{http.MethodGet, "/v1/events?channel=news", "localhost:" + port, http.StatusForbidden, "same-site"},
		{http.MethodGet, "/", "localhost:" + port, http.StatusOK, "cross-site"}, // a link to the dashboard
		{http.MethodGet, "/v1/nodes", "127.0.0.1", http.StatusOK, ""},
		{http.MethodGet, "/v1/nodes", "[::1]:" + port, http.StatusOK, ""},
		{http.MethodGet, "/v1/nodes", "evil.example:" + port, http.StatusMisdirectedRequest, "same-origin"},
		{http.MethodPost, "/v1/drain", "evil.example", http.StatusMisdirectedRequest, ""},
		{http.MethodGet, "/healthz", "node.internal:" + port, http.StatusOK, ""},
	} {
		request, err := http.NewRequestWithContext(t.Context(), test.method, admin+test.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = test.host
		if test.site != "" {
			request.Header.Set("Sec-Fetch-Site", test.site)
		}
		transport := &http.Transport{DisableKeepAlives: true}
		response, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != test.status {
			t.Errorf("%s %s of %s: %s, want %d", test.method, test.path, test.host, response.Status, test.status)
		}
	}
}

// TestAdminOff: there is no port but that of http.listen.
func TestAdminOff(t *testing.T) {
	t.Parallel()
	node, _ := startNode(t)
	node.awaitLog(`msg=serving .*admin="" `)
	node.wantLeave()
}

// TestAdminEndsLast asks a node that leaves, while a request holds it up.
func TestAdminEndsLast(t *testing.T) {
	t.Parallel()
	node, url, admin := startNodeWithAdmin(t)
	events, _ := servertest.OpenStream(t, url+"/v1/events?channel=news")
	publisher := holdUp(t, url)
	node.terminate()
	if bye := servertest.NextEvent(t, events); bye.Kind != wire.KindBye {
		t.Fatalf("the node sent %+v, want comet.bye", bye)
	}
	if body := servertest.Body(t, servertest.Get(t, admin+"/healthz")); body != "ok\n" {
		t.Errorf("a node that leaves is in health %q", body)
	}
	if _, err := io.WriteString(publisher, "Hello"); err != nil {
		t.Error(err)
	}
	node.wantLeft()
}

// holdUp begins to publish and returns when the node waits for the message, of
// five bytes.
func holdUp(t *testing.T, url string) net.Conn {
	t.Helper()
	connection, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	_ = connection.SetDeadline(time.Now().Add(testenv.Patience))
	fmt.Fprint(connection, "POST /v1/channels/other/messages HTTP/1.1\r\nHost: h\r\n"+
		"Content-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
	if line, err := bufio.NewReader(connection).ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("%q, %v", line, err)
	}
	return connection
}

// The admin listener serves operators however many connections are open and
// idle, and refuses what is in doubt.
func TestAdminConnections(t *testing.T) {
	t.Parallel()
	_, _, admin := startNodeWithAdmin(t)
	host := strings.TrimPrefix(admin, "http://")
	dial := func(send string) net.Conn {
		c, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(testenv.Patience))
		_, _ = io.WriteString(c, send)
		return c
	}
	for range maxAdmin + 20 {
		dial("PUT /v1/log HTTP/1.1\r\nHost: local")
	}
	var last string
	for late := time.Now().Add(testenv.Patience); !strings.HasPrefix(last, "HTTP/1.1 200 ") && time.Now().Before(late); {
		c := dial("GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
		all, _ := io.ReadAll(c)
		last = string(all)
	}
	if !strings.Contains(last, `{"ready":true}`) {
		t.Errorf("readiness: %q", last)
	}
	c := dial("PUT /v1/log HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
	all, _ := io.ReadAll(c)
	if got := string(all); !strings.HasPrefix(got, "HTTP/1.1 400 ") || strings.Contains(got, "comet_") {
		t.Errorf("with both lengths: %.300q", got)
	}
}

// A body may not take its time, and a profile may.
func TestAdminBody(t *testing.T) {
	t.Parallel()
	bound := bounded(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		}
	}))
	for _, test := range []struct {
		method, path string
		length       int64
		read, write  time.Duration
	}{
		{http.MethodGet, "/readyz", 0, 0, adminTimeout},
		{http.MethodPut, "/v1/log", 10, adminTimeout, adminTimeout},
		{http.MethodPut, "/v1/log", -1, adminTimeout, adminTimeout},
		{http.MethodGet, "/debug/pprof/profile", 0, 0, adminTimeout + 30*time.Second},
		{http.MethodGet, "/debug/pprof/trace?seconds=90", 0, 0, adminTimeout + 90*time.Second},
		{http.MethodGet, "/metrics?seconds=90", 0, 0, adminTimeout},
	} {
		w := &deadlines{ResponseWriter: httptest.NewRecorder()}
		r := httptest.NewRequest(test.method, test.path, nil)
		r.ContentLength = test.length
		began := time.Now()
		bound.ServeHTTP(w, r)
		took := time.Since(began)
		for _, d := range []struct {
			got  time.Time
			want time.Duration
		}{{w.read, test.read}, {w.write, test.write}} {
			if set := !d.got.IsZero(); set != (d.want > 0) || set && (d.got.Before(began.Add(d.want)) || d.got.After(began.Add(d.want+took))) {
				t.Errorf("%s %s: a testenv.Patience in %v, want %v", test.method, test.path, d.got.Sub(began), d.want)
			}
		}
	}
	w := httptest.NewRecorder()
	bound.ServeHTTP(w, httptest.NewRequest(http.MethodPut, "/", strings.NewReader(strings.Repeat("x", adminBody+1))))
	if w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a large body: %d", w.Code)
	}
}

// deadlines notes those that a handler sets.
type deadlines struct {
	http.ResponseWriter
	read, write time.Time
}

func (d *deadlines) SetReadDeadline(at time.Time) error { d.read = at; return nil }

func (d *deadlines) SetWriteDeadline(at time.Time) error { d.write = at; return nil }
