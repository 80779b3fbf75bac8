package gateway_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"comet/gateway/wire"
	"comet/pubsub"
)

// operators is a server for the operators of a node.
func operators(t *testing.T, n *node) string {
	t.Helper()
	server := httptest.NewServer(n.gateway.Operators())
	t.Cleanup(server.Close)
	return server.URL
}

// watch opens a stream there.
func watch(t *testing.T, c *cluster, url string) *wire.Reader {
	t.Helper()
	response, err := c.http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", url, response.Status)
	}
	return wire.NewReader(response.Body, wire.SSE)
}

func wantKind(t *testing.T, r *wire.Reader, kind wire.Kind) wire.Event {
	t.Helper()
	e, err := r.Next()
	if err != nil || e.Kind != kind {
		t.Fatalf("got %+v, %v, want %v", e, err, kind)
	}
	return e
}

// Operators may do everything where other clients may do nothing. They may read
// the nodes' own channels, but not write there.
func TestOperators(t *testing.T) {
	t.Parallel()
	c := overMemory(t, setup{access: guarded(t)})
	url := operators(t, c.nodes[0])
	stream := watch(t, c, url+"/v1/events?channel=a/b&channel=comet.revocations")
	wantKind(t, stream, wire.KindReady)
	post := func(path, body string) (status int, answer string) {
		t.Helper()
		response, err := c.http.Post(url+path, "text/plain", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text)
	}
	if status, text := post("/v1/channels/a%2Fb/messages", "Hello"); status != http.StatusCreated {
		t.Errorf("publish: %d, %s", status, text)
	}
	if m := wantKind(t, stream, wire.KindMessage).Message; string(m.Data) != `"Hello"` {
		t.Errorf("got %s", m.Data)
	}
	if err := c.nodes[0].gateway.Revoke(t.Context(), "somebody"); err != nil {
		t.Fatal(err)
	}
	if m := wantKind(t, stream, wire.KindMessage).Message; m.Type != "revoke" {
		t.Errorf("got %+v", m)
	}
	for path, want := range map[string]int{
		"/v1/channels/a/b/messages":               http.StatusOK,
		"/v1/channels/comet.revocations/messages": http.StatusOK,
		"/v1/poll?channel=a":                      http.StatusNotFound,
		"/":                                       http.StatusNotFound,
		"/v1/events":                              http.StatusBadRequest,
	} {
		response, err := c.http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: %s, want %d", path, response.Status, want)
		}
	}
	if status, text := post("/v1/channels/comet.revocations/messages", "x"); status != http.StatusForbidden || !strings.Contains(text, "nodes' own") {
		t.Errorf("publish to the nodes' own channel: %d, %s", status, text)
	}
}

// Requests of operators are judged by the current policy too.
func TestOperatorsGoByThePolicy(t *testing.T) {
	t.Parallel()
	c := overMemory(t, setup{})
	n := c.nodes[0]
	url := operators(t, n) + "/v1/channels/c/messages"
	for limit, want := range map[int]int{100: http.StatusCreated, 4: http.StatusRequestEntityTooLarge} {
		policy := n.gateway.Policy()
		policy.Limits.Message = limit
		if err := n.gateway.SetPolicy(policy); err != nil {
			t.Fatal(err)
		}
		response, err := c.http.Post(url, "text/plain", strings.NewReader("Hello"))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("5 bytes where %d may be: %s, want %d", limit, response.Status, want)
		}
	}
}

// Streams of operators are not counted, and go on while the node leaves.
func TestOperatorsCountForNothing(t *testing.T) {
	t.Parallel()
	c := overMemory(t, setup{})
	g := c.nodes[0].gateway
	stream := watch(t, c, operators(t, c.nodes[0])+"/v1/events?channel=c")
	wantKind(t, stream, wire.KindReady)
	if n := g.Connections(); n != 0 {
		t.Errorf("%d connections count", n)
	}
	if top, _ := g.Hub().Busiest(10, func(string) bool { return true }); len(top) != 0 {
		t.Errorf("subscribers are %v", top)
	}
	g.Drain(0)
	if r := g.Hub().Publish(t.Context(), []pubsub.Draft{{Channel: "c", Data: []byte("1")}})[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
	wantKind(t, stream, wire.KindMessage)
}

// The hub counts each stream and waiting poll, however it is held, in each of
// its channels, and no longer than it is there.
func TestSubscribersCount(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		hub := c.nodes[0].gateway.Hub()
		await := func(want ...pubsub.Audience) {
			t.Helper()
			late := time.Now().Add(patience)
			look := time.NewTicker(5 * time.Millisecond)
			defer look.Stop()
			for {
				top, all := hub.Busiest(2, func(channel string) bool { return !strings.HasPrefix(channel, "comet.") })
				if len(top) == len(want) && all == len(want) && (len(want) == 0 || top[0] == want[0] && top[len(top)-1] == want[len(want)-1]) {
					return
				}
				if time.Now().After(late) {
					t.Fatalf("%v (of %d), want %v", top, all, want)
				}
				<-look.C
			}
		}
		var streams []*stream
		for _, query := range []string{"channel=a", "channel=a", "channel=a&channel=b", "channel=a&format=raw"} {
			s := c.openAt(c.nodes[0], query)
			s.want("ready")
			streams = append(streams, s)
		}
		await(pubsub.Audience{Channel: "a", Subscribers: 4}, pubsub.Audience{Channel: "b", Subscribers: 1})
		polled := make(chan error, 1)
		go func() {
			response, err := c.http.Get(c.nodes[0].url + "/v1/poll?channel=a&wait=50s")
			if err == nil {
				_, err = io.Copy(io.Discard, response.Body)
				response.Body.Close()
			}
			polled <- err
		}()
		await(pubsub.Audience{Channel: "a", Subscribers: 5}, pubsub.Audience{Channel: "b", Subscribers: 1})
		c.publish("a", "1")
		if err := <-polled; err != nil {
			t.Fatal(err)
		}
		await(pubsub.Audience{Channel: "a", Subscribers: 4}, pubsub.Audience{Channel: "b", Subscribers: 1})
		for _, s := range streams[1:] {
			s.leave()
		}
		await(pubsub.Audience{Channel: "a", Subscribers: 1})
		streams[0].leave()
		await()
	})
}
