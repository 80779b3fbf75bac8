package server

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"comet/internal/servertest"
	"comet/internal/testenv"
)

// Every limit is met with a status, when to come back, and the setting's name.
func TestLimits(t *testing.T) {
	t.Parallel()
	alice := func(t testing.TB) []string { return servertest.Bearer(servertest.Token(t, "alice", -time.Minute)) }
	nobody := func(testing.TB) []string { return nil }
	const events = "/v1/events?channel=news"
	for setting, test := range map[string]struct {
		value  string
		header func(testing.TB) []string
		method string
		path   string
		body   string
		status int
		name   string
	}{
		"limits.message":             {"10B", nobody, http.MethodPost, servertest.News, strings.Repeat("x", 11), 413, "too-large"},
		"limits.batch":               {"1", nobody, http.MethodPost, "/v1/publish", "{}\n{}\n", 413, "too-large"},
		"limits.channels":            {"1", nobody, http.MethodGet, events + "&channel=b", "", 400, "invalid-parameter"},
		"limits.wait":                {"1s", nobody, http.MethodGet, "/v1/poll?channel=news&wait=2s", "", 400, "invalid-parameter"},
		"limits.connections":         {"1", nobody, http.MethodGet, events, "", 503, "too-many-connections"},
		"limits.address_connections": {"1", nobody, http.MethodGet, events, "", 429, "too-many-requests"},
		"limits.user_connections":    {"1", alice, http.MethodGet, events, "", 429, "too-many-requests"},
		"limits.address_requests":    {"1", nobody, http.MethodGet, servertest.News, "", 429, "too-many-requests"},
		"limits.user_requests":       {"1", alice, http.MethodGet, servertest.News, "", 429, "too-many-requests"},
		"limits.address_publishes":   {"1", nobody, http.MethodPost, servertest.News, "1", 429, "too-many-requests"},
		"limits.user_publishes":      {"1", alice, http.MethodPost, servertest.News, "1", 429, "too-many-requests"},
	} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			flag := "--" + strings.NewReplacer(".", "-", "_", "-").Replace(setting)
			_, url := startNode(t, servertest.GuardedFlags(t, "--auth-anonymous-subscribe", "**", "--auth-anonymous-publish", "**", flag, test.value)...)
			header := append([]string{"Content-Type", "application/x-ndjson"}, test.header(t)...)
			var r *http.Response
			for range 20 { // what is allowed in a second, if they are far apart
				if r = servertest.Ask(t, test.method, url+test.path, test.body, header...); r.StatusCode >= 400 {
					break
				}
			}
			name, detail := servertest.Problem(t, r)
			if r.StatusCode != test.status || name != test.name || !strings.Contains(detail, setting) {
				t.Errorf("got %s %s, %q", r.Status, name, detail)
			}
			seconds, _ := strconv.Atoi(r.Header.Get("Retry-After"))
			if comesBack := test.status == 429 || test.status == 503; comesBack != (seconds > 0) {
				t.Errorf("%s with Retry-After %q", r.Status, r.Header.Get("Retry-After"))
			}
			if back := servertest.Ask(t, test.method, url+test.path, test.body, append([]string{"Content-Type", "application/x-ndjson"}, servertest.Bearer(servertest.BackendKey)...)...); test.status == 429 && back.StatusCode >= 400 {
				t.Errorf("a back end, which nothing counts: %s", back.Status)
			}
		})
	}
}

// With limits.wait 0 polls are answered at once.
func TestNoWait(t *testing.T) {
	t.Parallel()
	_, url := startNode(t, "--limits-wait", "0s")
	if r := servertest.Get(t, url+"/v1/poll?channel=news"); r.StatusCode != http.StatusOK {
		t.Errorf("a poll that does not say how long it waits: %s", r.Status)
	}
	if r := servertest.Get(t, url+"/v1/poll?channel=news&wait=1s"); r.StatusCode != http.StatusBadRequest {
		t.Errorf("a poll that waits: %s", r.Status)
	}
}

// A header that is too large is refused by net/http itself, which names no
// setting.
func TestLimitOfHeader(t *testing.T) {
	t.Parallel()
	_, url := startNode(t, "--limits-header", "4KiB")
	for name, r := range map[string]*http.Response{
		"field": servertest.Ask(t, http.MethodGet, url+servertest.News, "", "X-Much", strings.Repeat("y", 9<<10)),
		"URL":   servertest.Ask(t, http.MethodGet, url+servertest.News+"?"+strings.Repeat("y", 9<<10), ""),
	} {
		if r.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%s: %s", name, r.Status)
		}
	}
}

// Only trusted proxies set the address that a limit counts.
func TestTrustedProxies(t *testing.T) {
	t.Parallel()
	for proxies, want := range map[string]int{"": http.StatusTooManyRequests, "192.0.2.0/24": http.StatusTooManyRequests, "127.0.0.1": http.StatusOK} {
		_, url := startNode(t, "--limits-address-connections", "1", "--http-trusted-proxies", proxies)
		for i := range 3 { // the first opens the channel, so the others come to the door
			r := servertest.Ask(t, http.MethodGet, url+"/v1/events?channel=news", "", "X-Forwarded-For", fmt.Sprint("203.0.113.", i))
			if i > 0 && r.StatusCode != want {
				t.Errorf("proxies %q: client %d gets %s", proxies, i, r.Status)
			}
		}
		r := servertest.Ask(t, http.MethodGet, url+"/v1/events?channel=news", "", "X-Forwarded-For", "198.51.100.1, 203.0.113.0")
		if r.StatusCode != http.StatusTooManyRequests {
			t.Errorf("proxies %q: an invented address gets %s", proxies, r.Status)
		}
	}
}

// A connection with half a header is closed in time.
func TestHalfHeader(t *testing.T) {
	t.Parallel()
	_, url := startNode(t)
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(headerTimeout + testenv.Patience))
	if _, err := io.WriteString(c, "GET /v1/events?channel=news HTTP/1.1\r\nHost: h\r\nX-"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(c); err != nil { // to the end
		t.Error(err)
	}
}

// The header that the trusted proxies do not write is the client's own: with it
// a client has neither another bucket nor another's.
func TestForwardedHeader(t *testing.T) {
	t.Parallel()
	for written, other := range map[string]string{"X-Forwarded-For": "Forwarded", "Forwarded": "X-Forwarded-For"} {
		_, url := startNode(t, "--limits-address-publishes", "1", "--http-trusted-proxies", "127.0.0.1", "--http-forwarded-header", written)
		name := map[string]string{"Forwarded": "for=203.0.113.9", "X-Forwarded-For": "203.0.113.9"}[written]
		taken := 0
		for i := range 20 {
			invented := map[string]string{"Forwarded": fmt.Sprint("for=198.51.100.", i), "X-Forwarded-For": fmt.Sprint("198.51.100.", i)}[other]
			if r := servertest.Ask(t, http.MethodPost, url+servertest.News, "1", written, name, other, invented); r.StatusCode == http.StatusCreated {
				taken++
			}
		}
		if taken > 10 { // 1 per second, and 20 take less than that many
			t.Errorf("by %s: %d of 20 publishes of one client were taken at a limit of 1 per second", written, taken)
		}
	}
}

// The proxies' files that we ship drop what a client says of itself in Forwarded.
func TestProxyFilesDropForwarded(t *testing.T) {
	t.Parallel()
	for file, line := range map[string]string{
		"nginx.conf": `proxy_set_header Forwarded "";`, "haproxy.cfg": "http-request del-header Forwarded", "envoy.yaml": "request_headers_to_remove: [forwarded]",
	} {
		text, err := os.ReadFile(filepath.Join("..", "..", "k8s", "lb", file))
		if err != nil || !strings.Contains(string(text), line) {
			t.Errorf("%s lacks %q (%v)", file, line, err)
		}
	}
}
