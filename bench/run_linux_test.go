package bench

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"comet/gateway"
	"comet/gateway/conn"
	"comet/pubsub"
	"comet/pubsub/membroker"
)

// inTest are options with workers that are goroutines of the test.
func inTest() Options {
	return Options{Hosts: []WorkerHost{InProcess()}, Version: "test"}
}

// cluster is a broker and nodes over it.
type cluster struct {
	urls []string
	stop []func() // of each node, at once and for good
}

// startCluster starts nodes that share the in-process broker.
func startCluster(t *testing.T, nodes int) *cluster {
	broker := newBroker()
	var c cluster
	for range nodes {
		handler, hangUp := newGateway(t, broker)
		url, close := serveUntil(handler)
		stop := func() {
			close()
			hangUp()
		}
		t.Cleanup(stop)
		c.urls, c.stop = append(c.urls, url), append(c.stop, stop)
	}
	return &c
}

func newBroker() *membroker.Cluster {
	return membroker.New(membroker.Options{Size: 10_000, TTL: time.Hour, KeyWindow: time.Minute})
}

// newGateway returns a node's handler, and a function that closes its
// connections.
func newGateway(t *testing.T, broker *membroker.Cluster) (h http.Handler, hangUp func()) {
	hub := pubsub.NewHub(broker.Node(), pubsub.Options{})
	t.Cleanup(hub.Close)
	parker, err := conn.NewParker(time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	hangUp = sync.OnceFunc(func() {
		if err := parker.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(hangUp)
	g, err := gateway.New(gateway.Options{Hub: hub, Node: "n", Holder: parker})
	if err != nil {
		t.Fatal(err)
	}
	return g, hangUp
}

// lossPatience is for plans that lose messages: short, but long enough that a busy
// machine loses no other ones.
const lossPatience = 5 * time.Second

// mustRun runs a plan, with a Patience for the busiest machine if it has none.
func mustRun(t *testing.T, plan Plan, options Options) *Result {
	t.Helper()
	plan.Patience = cmp.Or(plan.Patience, time.Minute)
	r, err := Run(t.Context(), plan, options)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRunAgainstComet(t *testing.T) {
	for _, test := range []struct {
		name string
		plan Plan
	}{
		{"streams", Plan{Messages: 60, Publishers: 2}},
		{"streams at a rate", Plan{Messages: 50, Rate: 500}},
		{"streams of many channels", Plan{Messages: 60, Channels: 7, Publishers: 3}},
		{"streams for a while", Plan{Duration: 200 * time.Millisecond, Publishers: 2, Channels: 2}},
		{"polls", Plan{Messages: 50, Rate: 500, Transport: LongPoll}},
		{"polls of many channels", Plan{Messages: 60, Transport: LongPoll, Channels: 7, Publishers: 3}},
		{"short polls", Plan{Messages: 50, Rate: 500, Transport: ShortPoll, Interval: 100 * time.Millisecond}},
		{"mixed", Plan{Messages: 50, Rate: 500, Transport: Mixed, Channels: 2}},
		{"idle streams, each on its own channel", Plan{Channels: 40}},
		{"idle polls", Plan{Transport: LongPoll}},
		{"a slow arrival", Plan{Messages: 10, Ramp: 300 * time.Millisecond}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			plan := test.plan
			plan.Subscribers = 40
			plan.Target.Nodes = startCluster(t, 1).urls
			plan.ServerPIDs = []int{os.Getpid()}
			r := mustRun(t, plan, inTest())
			if !r.Trouble.None() {
				t.Errorf("trouble %+v", r.Trouble)
			}
			if r.Arrival.Subscribers != 40 {
				t.Errorf("arrival %+v", r.Arrival)
			}
			if total, ok := plan.total(); ok && r.Publish.Acknowledged != total || plan.publishes() && r.Publish.Acknowledged == 0 {
				t.Errorf("published %+v", r.Publish)
			}
			if r.Delivery.Received != r.Delivery.Expected || plan.publishes() && r.Delivery.Received == 0 {
				t.Errorf("%d deliveries of %d", r.Delivery.Received, r.Delivery.Expected)
			}
		})
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	url := startFake(t, func(_, _ int, message string) []string {
		cancel(errOther)
		return []string{message}
	})
	plan := Plan{Target: Target{Preset: "nchan", Nodes: []string{url}}, Subscribers: 2, Messages: 100, Rate: 1}
	if _, err := Run(ctx, plan, inTest()); !errors.Is(err, errOther) {
		t.Errorf("error %v, want the cause", err)
	}
}

func TestRunOverIPv6(t *testing.T) {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip("there is no IPv6 here:", err)
	}
	server := httptest.NewUnstartedServer(newFake(nil))
	server.Listener.Close()
	server.Listener = l
	server.Start()
	defer server.Close()
	plan := Plan{Target: Target{Preset: "nchan", Nodes: []string{server.URL}}, Subscribers: 5, Messages: 20}
	r := mustRun(t, plan, inTest())
	if !r.Trouble.None() || r.Delivery.Received != 100 {
		t.Errorf("%d deliveries, %+v", r.Delivery.Received, r.Trouble)
	}
}
