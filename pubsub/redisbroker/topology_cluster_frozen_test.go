package redisbroker_test

import (
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
	slowest := make(chan time.Duration)
	go func() {
		var longest time.Duration
		for {
			select {
			case slowest <- longest:
				return
			default:
			}
			took, err := c.try(c.nodes[0], healthy)
			if err != nil {
				t.Errorf("publish to a healthy primary: %v", err)
			}
			longest = max(longest, took)
		}
	}()
	nodes[0].Freeze()
	cluster.AwaitFailover(nodes[0])
	c.awaitMore(50) // at the one that took over, too
	c.awaitReady(0, true)
	if longest := <-slowest; longest > options.Timeout/2 {
		t.Errorf("a publish to a healthy primary took %v", longest)
	}
	c.drain()
}
