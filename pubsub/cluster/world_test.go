package cluster

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"comet/pubsub"
	"comet/pubsub/membroker"
)

// world is nodes in a bubble, with one memory.
type world struct {
	t       *testing.T
	cluster *membroker.Cluster
}

func newWorld(t *testing.T) *world {
	return &world{t, membroker.New(membroker.Options{Size: 1000, TTL: time.Hour, KeyWindow: time.Minute})}
}

// node is one that beats until leave or kill.
type node struct {
	*Heartbeat
	hub    *pubsub.Hub
	counts atomic.Pointer[Counts]
	broker *deafBroker
	stop   func()
	ended  sync.WaitGroup
}

// deafBroker is one that a node which was killed says no more to.
type deafBroker struct {
	*membroker.Broker
	mu   sync.Mutex
	deaf bool
}

func (b *deafBroker) Withdraw(ctx context.Context, id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.deaf {
		return pubsub.ErrUnavailable
	}
	return b.Broker.Withdraw(ctx, id)
}

func (w *world) join(id string) *node {
	n := &node{broker: &deafBroker{Broker: w.cluster.Node()}}
	n.counts.Store(&Counts{})
	n.hub = pubsub.NewHub(n.broker, pubsub.Options{})
	n.Heartbeat = New(Options{
		Broker: n.broker, Hub: n.hub, About: Identity{ID: id, Name: id, Started: time.Now()},
		Count:  func() Counts { return *n.counts.Load() },
		Logger: slog.New(slog.NewTextHandler(w.t.Output(), nil)),
	})
	ctx, cancel := context.WithCancel(w.t.Context())
	n.stop = cancel
	n.ended.Go(func() { n.Run(ctx) })
	w.t.Cleanup(func() {
		n.goAway()
		n.hub.Close()
		if err := n.broker.Close(); err != nil {
			w.t.Error(err)
		}
	})
	synctest.Wait()
	return n
}

// goAway ends n's heartbeats and withdraws it.
func (n *node) goAway() {
	n.stop()
	n.ended.Wait()
}

// kill ends n's beats without a word.
func (n *node) kill() {
	n.broker.mu.Lock()
	n.broker.deaf = true
	n.broker.mu.Unlock()
	n.goAway()
}

func (n *node) get(t *testing.T, path string, answer any) (status int) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	w := httptest.NewRecorder()
	if strings.HasPrefix(path, "/v1/nodes") {
		n.ServeNodes(w, r)
	} else {
		n.ServeChannels(w, r)
	}
	if w.Code == http.StatusOK {
		if err := json.Unmarshal(w.Body.Bytes(), answer); err != nil {
			t.Fatalf("%s: %v", w.Body, err)
		}
	}
	return w.Code
}

// reports is the list of nodes that n answers.
func (n *node) reports(t *testing.T) (all []Report) {
	t.Helper()
	var answer NodeList
	if code := n.get(t, "/v1/nodes", &answer); code != http.StatusOK {
		t.Fatalf("status %d", code)
	}
	for _, raw := range answer.Nodes {
		r, err := ParseReport(raw)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

func ids(all []Report) string {
	var list []string
	for _, r := range all {
		list = append(list, r.ID)
	}
	return strings.Join(list, " ")
}

func (n *node) subscribe(t *testing.T, channel string, times int) {
	t.Helper()
	for range times {
		s, err := n.hub.Subscribe(t.Context(), []pubsub.Start{{Channel: channel}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
	}
}
