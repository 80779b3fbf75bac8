package redisbroker_test

import (
	"net"
	"testing"

	"comet/internal/testenv"
	"comet/pubsub"
	"comet/pubsub/redisbroker"
	"comet/pubsub/redistest"
)

// With any kind of names for the nodes of a Redis Cluster, takeovers are recognised, and
// moving slots are followed.
func TestClusterHostNames(t *testing.T) {
	t.Parallel()
	takeoverAndMove(t, redistest.Endpoints("hostname"))
}

func TestClusterIPv6(t *testing.T) {
	t.Parallel()
	testenv.Large(t)
	takeoverAndMove(t, redistest.IPv6)
}

func TestClusterUnknownEndpoints(t *testing.T) {
	t.Parallel()
	testenv.Large(t)
	takeoverAndMove(t, redistest.Endpoints("unknown-endpoint"))
}

func takeoverAndMove(t *testing.T, option redistest.Option) {
	t.Helper()
	cluster := redistest.StartCluster(t, 3, 1, option)
	nodes := cluster.Nodes()
	c := newHarness(t, reach(cluster), named(cluster))
	taken, moved := channelAt(cluster, nodes[0], 0), channelAt(cluster, nodes[2], 0)
	c.listen(taken)
	c.say(taken)
	c.awaitReceived()
	cluster.Failover(nodes[0])
	c.say(taken)
	c.drain()
	c.verify(pubsub.Failover)
	c.awaitReady(0, true)
	c.awaitReady(1, true)

	other := newHarness(t, reach(cluster), named(cluster))
	other.listen(moved)
	other.say(moved)
	end := cluster.BeginMove(slotOf(cluster, moved), otherPrimary(cluster, nodes[2]))
	for i, node := range other.nodes { // the channel is new there: ASK
		r := node.Publish(t.Context(), []pubsub.Draft{{Channel: sameSlot(moved), Data: []byte("1")}})[0]
		if r.Err != nil {
			t.Errorf("node %d: publish to a slot that is on its way: %v", i, r.Err)
		}
	}
	end()
	other.say(moved)
	other.drain()
	other.verify()
}

// named reaches the cluster by a name of the machine, or by its address if the
// nodes have others.
func named(c *redistest.Cluster) redisbroker.Options {
	options := reach(c)
	for i, address := range options.Addresses {
		if host, port, _ := net.SplitHostPort(address); host == "127.0.0.1" {
			options.Addresses[i] = net.JoinHostPort("localhost", port)
		}
	}
	return options
}
