package hook_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"comet/gateway/hook"
)

// docs/hooks.md shows the two handlers as they are here.

type app struct {
	secret []byte
	seen   map[string]bool // IDs of events: in a real one, those of the last hour or so
	online map[string]int
}

func (a *app) body(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 4<<20))
	if err == nil {
		err = hook.Verify(a.secret, r.Header.Get(hook.SignatureHeader), body, time.Now())
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return nil, false
	}
	return body, true
}

func (a *app) asked(w http.ResponseWriter, r *http.Request) {
	body, ok := a.body(w, r)
	if !ok {
		return
	}
	var q struct {
		Action, User, Key, Channel, Address, Node string
		Channels                                  []string
	}
	if err := json.Unmarshal(body, &q); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if q.Channels == nil {
		q.Channels = []string{q.Channel}
	}
	for _, channel := range q.Channels {
		if channel != "users/"+q.User {
			_, _ = io.WriteString(w, `{"allow": false, "reason": "This channel is not yours."}`)
			return
		}
	}
	_, _ = io.WriteString(w, `{"allow": true, "for": 60}`)
}

func (a *app) told(w http.ResponseWriter, r *http.Request) {
	body, ok := a.body(w, r)
	if !ok {
		return
	}
	var events []hook.Event
	if err := json.Unmarshal(body, &events); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, e := range events {
		if a.seen[e.ID] {
			continue
		}
		a.seen[e.ID] = true
		switch e.Kind {
		case hook.Connected:
			a.online[e.User]++
		case hook.Disconnected:
			a.online[e.User]--
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

func TestExample(t *testing.T) {
	a := &app{secret: []byte("an-example-secret-of-32-bytes-or-more"), seen: map[string]bool{}, online: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /ask", a.asked)
	mux.HandleFunc("POST /events", a.told)
	server := httptest.NewServer(mux)
	defer server.Close()

	asker, err := hook.NewAsker(hook.AskerOptions{Endpoint: hook.Endpoint{URL: server.URL + "/ask", Secret: a.secret}, Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer asker.Close()
	q := hook.Question{Action: hook.Subscribe, User: "alice", Channels: []string{"users/alice"}}
	if err := asker.Allowed(t.Context(), q); err != nil {
		t.Error(err)
	}
	q.Channels = []string{"users/alice", "users/bob"}
	if err := asker.Allowed(t.Context(), q); err == nil || !strings.Contains(err.Error(), "This channel is not yours.") {
		t.Errorf("got %v", err)
	}

	events, err := hook.NewEvents(hook.EventsOptions{Endpoint: hook.Endpoint{URL: server.URL + "/events", Secret: a.secret}})
	if err != nil {
		t.Fatal(err)
	}
	events.Connected("alice", "sse")
	if err := events.Close(t.Context()); err != nil || a.online["alice"] != 1 {
		t.Errorf("%v, %v", err, a.online)
	}
}

// read is the content of a file without its line ends of other systems.
func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}

// block is what stands in text between the first begin and the next end.
func block(t testing.TB, text, begin, end string) string {
	t.Helper()
	_, rest, ok1 := strings.Cut(text, begin)
	found, _, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatalf("docs/hooks.md has no %q … %q", begin, end)
	}
	return found
}

func TestDocs(t *testing.T) {
	doc := read(t, "../../docs/hooks.md")
	source := read(t, "example_test.go")
	if code := block(t, doc, "```go\n", "```"); !strings.Contains(source, code) {
		t.Errorf("the Go example is not that of example_test.go:\n%s", code)
	}
	secret := block(t, doc, "secret  ", "\n")
	body := block(t, doc, "body    ", "\n")
	header := block(t, doc, "header  "+hook.SignatureHeader+": ", "\n")
	if err := hook.Verify([]byte(secret), header, []byte(body), time.Unix(1795332004, 0)); err != nil {
		t.Errorf("the example of a signature: %v", err)
	}
}
