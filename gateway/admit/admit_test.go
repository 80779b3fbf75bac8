package admit

import (
	"errors"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"
	"unsafe"

	"comet/gateway/auth"
	"comet/gateway/conn"
	"comet/gateway/limit"
	"comet/pubsub"
	"comet/pubsub/membroker"
)

// A request on the fast path that would wait, or falls back later, charges and
// counts nothing: a client with one request and one connection gets both through
// net/http.
func TestAdmitChargesOnce(t *testing.T) {
	t.Parallel()
	all, err := auth.ParsePatterns([]string{"**"})
	if err != nil {
		t.Fatal(err)
	}
	access, err := auth.New(auth.Options{Anonymous: auth.Permissions{Subscribe: all}})
	if err != nil {
		t.Fatal(err)
	}
	broker := membroker.New(membroker.Options{Size: 10, TTL: time.Hour, KeyWindow: time.Minute}).Node()
	hub := pubsub.NewHub(broker, pubsub.Options{})
	defer broker.Close()
	defer hub.Close()
	c := New(Options{Hub: hub, Replays: conn.NewReplays(1 << 20), Logger: slog.New(slog.DiscardHandler)})
	once := limit.Rate{PerSecond: 0.001, Burst: 1}
	rules := c.SetRules(Rules{Auth: access, Limiter: limit.New(limit.Options{AddressRequests: once, AddressConnections: 1})})
	admit := func(fast bool, channel string) (*Admission, error) {
		want := &Subscription{Channels: []string{channel}, Starts: []pubsub.Start{{Channel: channel}}, Present: true}
		return c.Admit(httptest.NewRequest("GET", "/v1/events", nil), &Caller{Rules: rules, Fast: fast}, func() (*Subscription, error) { return want, nil })
	}
	isOver := func(err error, met limit.Limit) bool {
		over, ok := errors.AsType[*limit.Exceeded](err)
		return ok && over.Limit == met
	}
	open, err := hub.Subscribe(t.Context(), []pubsub.Start{{Channel: "open"}})
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()

	if _, err := admit(true, "closed"); err != ErrWouldWait {
		t.Errorf("a channel that is not open: %v, want %v", err, ErrWouldWait)
	}
	fast, err := admit(true, "open")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admit(true, "open"); !isOver(err, limit.AddressConnections) {
		t.Errorf("a second connection: %v", err)
	}
	for _, channel := range fast.Open {
		channel.Release()
	}
	fast.Session.End(conn.FellBack)
	if n := c.Connections(); n != 0 {
		t.Errorf("%d connections after falling back", n)
	}
	slow, err := admit(false, "open")
	if err != nil {
		t.Fatalf("through net/http: %v", err)
	}
	slow.Begin()
	slow.Close()
	if n := c.Connections(); n != 1 {
		t.Errorf("%d connections, want the one that has begun", n)
	}
	slow.Subscriber.Close()
	slow.Session.End(conn.Gone)
	if _, err := admit(false, "open"); !isOver(err, limit.AddressRequests) {
		t.Errorf("a second request: %v", err)
	}
	fast, err = admit(true, "open")
	if err != nil {
		t.Fatal(err)
	}
	if err := fast.Charge(); !isOver(err, limit.AddressRequests) {
		t.Errorf("a second request on the fast path: %v", err)
	}
	fast.Close()
	s := c.Stats()
	if s.Connects[conn.OverSSE] != 1 || s.Held(conn.OverSSE) != 0 || c.Connections() != 0 {
		t.Errorf("counted %+v, %d connections", s, c.Connections())
	}
}

// A parked stream keeps a Session in a closure, and a sessionExtra if connections
// are limited: each byte of them is there hundreds of thousands of times.
func TestSessionSize(t *testing.T) {
	if size := unsafe.Sizeof(Session{}); size > 40 {
		t.Errorf("a Session has %d bytes, want at most 40", size)
	}
	if size := unsafe.Sizeof(sessionExtra{}); size > 32 {
		t.Errorf("what it needs with limits of connections has %d bytes, want at most 32", size)
	}
}
