package redisbroker_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"comet/internal/testenv"
	"comet/pubsub/redistest"
)

// A primary is replaced while it is frozen and publishes are under way. Publishes to
// other primaries do not wait for it.
func TestClusterFrozenPrimary(t *testing.T) {
	t.Parallel()
	testenv.Large(t)
	cluster := redistest.StartCluster(t, 3, 1)
	nodes := cluster.Nodes()
	options := reach(cluster)
	options.Timeout = 3 * time.Second // the default
	c := newHarness(t, options)
	frozen, healthy := channelAt(cluster, nodes[0], 0), channelAt(cluster, nodes[2], 0)
	c.listenFixed(healthy)
	c.flood(frozen, frozen, frozen, frozen, frozen, frozen, frozen, frozen)
	c.awaitMore(50)
	var published atomic.Int64 // to the healthy primary
	stop, cancel := context.WithCancel(t.Context())
	defer cancel()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for stop.Err() == nil {
			if _, err := c.try(c.nodes[0], healthy); err != nil {
				t.Errorf("publish to a healthy primary: %v", err)
			}
			published.Add(1)
		}
	}()
	nodes[0].Freeze()
	before := published.Load()
	cluster.AwaitFailover(nodes[0])
	// One that waits for the frozen primary waits for its replacement or for the timeout.
	if n := published.Load() - before; n < 5 {
		t.Errorf("%d publishes to a healthy primary before the other one was replaced, want many", n)
	}
	c.awaitMore(50) // at the one that took over, too
	c.awaitReady(0, true)
	cancel()
	<-stopped
	c.drain()
}
