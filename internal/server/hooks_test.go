package server

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"comet/gateway/hook"
	"comet/internal/servertest"
)

const hookSecret = "0123456789abcdef0123456789abcdef"

// TestHooks: the application authorizes requests, and receives events.
func TestHooks(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	told, asked := make(map[string]bool), make(map[string]int)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /ask", func(w http.ResponseWriter, r *http.Request) {
		body := verified(t, r)
		var q struct{ Action, Channel string }
		if err := json.Unmarshal(body, &q); err != nil {
			t.Error(err)
		}
		mu.Lock()
		asked[q.Action+" "+q.Channel]++
		mu.Unlock()
		allow := q.Channel == "open" || q.Action == "subscribe" && q.Channel == "read-only"
		_ = json.NewEncoder(w).Encode(map[string]any{"allow": allow, "reason": "the moon is full"})
	})
	mux.HandleFunc("POST /events", func(_ http.ResponseWriter, r *http.Request) {
		var events []struct {
			Kind                       string `json:"event"`
			Channel, Transport, Reason string
		}
		if err := json.Unmarshal(verified(t, r), &events); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, e := range events {
			told[strings.TrimSpace(e.Kind+" "+e.Channel+e.Transport+" "+e.Reason)] = true
		}
	})
	application := httptest.NewServer(mux)
	defer application.Close()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(hookSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	node, url := startNode(t, "--auth-hook-url", application.URL+"/ask", "--auth-hook-secret-file", secret,
		"--events-url", application.URL+"/events", "--events-secret-file", secret)

	for path, want := range map[string]int{
		"/v1/channels/open/messages": http.StatusCreated, "/v1/channels/read-only/messages": http.StatusForbidden,
	} {
		if r := servertest.Send(t, http.MethodPost, url+path); r.StatusCode != want {
			t.Errorf("publish to %s: %s, want %d", path, r.Status, want)
		}
	}
	if r := servertest.Get(t, url+"/v1/events?channel=secret"); r.StatusCode != http.StatusForbidden || !strings.Contains(servertest.Body(t, r), "the moon is full") {
		t.Errorf("subscribe to secret: %s", r.Status)
	}
	for channel, want := range map[string]int{"secret": http.StatusForbidden, "open": http.StatusNotFound} {
		if r := servertest.Get(t, url+"/v1/channels/"+channel+"/presence"); r.StatusCode != want {
			t.Errorf("presence of %s: %s, want %d", channel, r.Status, want)
		}
	}
	for channel, want := range map[string]int{"secret": http.StatusForbidden, "read-only": http.StatusOK} {
		if r := servertest.Get(t, url+"/v1/channels/"+channel+"/messages"); r.StatusCode != want {
			t.Errorf("history of %s: %s, want %d", channel, r.Status, want)
		}
	}
	const batch = `[{"channel": "open", "data": 1}, {"channel": "secret", "data": 2}, {"channel": "open", "data": 3}, {"channel": "secret", "data": 4}]`
	r := servertest.Ask(t, http.MethodPost, url+"/v1/publish", batch, "Content-Type", "application/json")
	if body := servertest.Body(t, r); strings.Count(body, "the moon is full") != 2 || strings.Count(body, `"id"`) != 2 {
		t.Errorf("a batch: %s %s", r.Status, body)
	}
	servertest.OpenStream(t, url+"/v1/events?channel=read-only")
	servertest.OpenStream(t, url+"/v1/events?channel=open")
	node.wantLeave()

	mu.Lock()
	defer mu.Unlock()
	if open, secret := asked["publish open"], asked["publish secret"]; open != 2 || secret != 1 {
		t.Errorf("it was asked about publishes to open %d times, to secret %d; want 2, one for a batch, and 1", open, secret)
	}
	for _, want := range []string{"first-subscriber open", "connected sse", "disconnected sse shutdown"} {
		if !told[want] {
			t.Errorf("it did not receive %q, but %v", want, told)
		}
	}
}

func verified(t *testing.T, r *http.Request) []byte {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	if err := hook.Verify([]byte(hookSecret), r.Header.Get(hook.SignatureHeader), body, time.Now()); err != nil {
		t.Error(err)
	}
	return body
}

// TestHookHeaders: the application decides by a session of its own. An answer that
// a node remembers counts for that session only, for polls on the fast path too.
func TestHookHeaders(t *testing.T) {
	t.Parallel()
	application := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct{ Headers map[string]string }
		if err := json.Unmarshal(verified(t, r), &q); err != nil {
			t.Error(err)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"allow": q.Headers["Cookie"] == "session=alice-secret", "for": 60})
	}))
	defer application.Close()
	node, url := startNode(t, "--auth-hook-url", application.URL, "--auth-hook-secret-file", servertest.NewFile(t, hookSecret),
		"--auth-hook-headers", "Cookie", "--log-level", "debug")
	for range 3 {
		for cookie, want := range map[string]int{"session=alice-secret": http.StatusOK, "session=bob-secret": http.StatusForbidden, "": http.StatusForbidden} {
			var header []string
			if cookie != "" {
				header = []string{"Cookie", cookie}
			}
			if r := servertest.Ask(t, http.MethodGet, url+"/v1/poll?channel=a&last=1&wait=10ms", "", header...); r.StatusCode != want {
				t.Errorf("with the cookie %q: %s, want %d", cookie, r.Status, want)
			}
		}
	}
	node.wantLeave()
	if strings.Contains(node.log.String(), "-secret") {
		t.Error("the log has a cookie")
	}
}
