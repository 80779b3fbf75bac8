package redisbroker_test

import (
	"fmt"
	"testing"
	"time"

	"comet/pubsub"
	"comet/pubsub/redisbroker"
	"comet/pubsub/redistest"
)

// channelAt returns the n-th channel with a slot of the node.
func channelAt(c *redistest.Cluster, node *redistest.Server, n int) string {
	for i := 0; ; i++ {
		if channel := fmt.Sprint("c", i); c.NodeFor("{"+channel+"}") == node {
			if n == 0 {
				return channel
			}
			n--
		}
	}
}

func slotOf(c *redistest.Cluster, channel string) int {
	return int(c.Nodes()[0].Do("CLUSTER", "KEYSLOT", channel).(int64))
}

func reach(c *redistest.Cluster) redisbroker.Options {
	return redisbroker.Options{Addresses: c.Addresses(), Cluster: true}
}

// Slots move to and fro under load, with everything in them: no gap is reported.
func TestClusterMoveSlot(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3, 0)
	nodes := cluster.Nodes()
	options := reach(cluster)
	options.Timeout = 10 * time.Second // a primary whose history is not read in time counts as a failover
	c := newHarness(t, options)
	busy, quiet, other := channelAt(cluster, nodes[0], 0), channelAt(cluster, nodes[0], 1), channelAt(cluster, nodes[1], 0)
	c.listen(busy, quiet, other)
	c.say(quiet)
	c.flood(busy, other)
	for _, to := range []*redistest.Server{nodes[1], nodes[2], nodes[0]} {
		c.awaitMore(100)
		cluster.MoveSlot(slotOf(cluster, quiet), to)
		cluster.MoveSlot(slotOf(cluster, busy), to)
	}
	c.awaitMore(100)
	c.say(quiet)
	c.drain()
	c.verify()
}

// A slot stays half moved for some time: with existing channels, new channels, new
// subscribers, and publishers with and without keys.
func TestClusterHalfMovedSlot(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3, 0)
	nodes := cluster.Nodes()
	c := newHarness(t, reach(cluster))
	before := channelAt(cluster, nodes[0], 0)
	during := sameSlot(before)
	c.listen(before)
	c.flood(before)
	c.awaitMore(50)
	end := cluster.BeginMove(slotOf(cluster, before), nodes[2])
	c.listen(during)
	for i := range 20 {
		receipt := c.nodes[i%2].Publish(t.Context(), []pubsub.Draft{{Channel: during, Data: []byte("1")}})[0]
		if receipt.Err != nil {
			t.Errorf("publish to a new channel in a slot that is half moved: %v", receipt.Err)
		}
		c.accepted[receipt.ID] = during
	}
	c.awaitReceived()
	end()
	c.awaitMore(50)
	c.say(during)
	c.drain()
	c.verify()
}

// A half-moved slot hides from a node that the primary has not loaded its scripts: the
// calls after the first one are carried out nevertheless. Leases in the slot itself fail
// soon, because they name several keys.
func TestClusterHalfMovedUnknown(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3, 0)
	nodes := cluster.Nodes()
	options := reach(cluster)
	options.Timeout = patience
	b := newBroker(t, options)
	defer b.Close()
	moving, staying := channelAt(cluster, nodes[0], 0), channelAt(cluster, nodes[0], 1)
	end := cluster.BeginMove(slotOf(cluster, moving), nodes[2])
	began := time.Now()
	if err := b.UpdateLeases(t.Context(), []pubsub.Lease{hold(moving), hold(staying)})[1].Err; err != nil {
		t.Errorf("hold: %v", err)
	}
	if took := time.Since(began); took > options.Timeout*3/4 {
		t.Errorf("all waited %v for one", took)
	}
	for i, page := range b.Read(t.Context(), []pubsub.Query{{Channel: moving}, {Channel: staying}}) {
		if page.Err != nil {
			t.Errorf("page %d: %v", i, page.Err)
		}
	}
	end()
}

// sameSlot returns another channel in the slot of channel.
func sameSlot(channel string) string {
	want := redisbroker.SlotOf(channel)
	for i := 0; ; i++ {
		if other := fmt.Sprint("d", i); redisbroker.SlotOf(other) == want {
			return other
		}
	}
}

// A primary hands over to its replica, which has everything. The epoch is new, so a
// failover is reported, and nothing is missing.
func TestClusterFailover(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3, 1)
	node := cluster.Nodes()[0]
	c := newHarness(t, reach(cluster))
	busy, quiet := channelAt(cluster, node, 0), channelAt(cluster, node, 1)
	c.listen(busy, quiet)
	c.say(quiet)
	c.flood(busy)
	c.awaitMore(100)
	cluster.Failover(node)
	c.awaitGaps(1) // on the quiet channel too
	c.awaitMore(100)
	c.say(quiet)
	c.drain()
	c.verify(pubsub.Failover)
}

// A primary is killed. Its newest messages may be missing.
func TestClusterKill(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3, 1)
	node := cluster.Nodes()[0]
	c := newHarness(t, reach(cluster))
	lost, quiet, elsewhere := channelAt(cluster, node, 0), channelAt(cluster, node, 1), channelAt(cluster, cluster.Nodes()[2], 0)
	c.listen(lost, quiet)
	c.say(lost, quiet)
	c.awaitReceived()
	away := newHarness(t, reach(cluster))
	away.listen(elsewhere)
	away.say(elsewhere)
	replica := replicaOf(t, cluster, node)
	node.KillLosing(func() {
		for range 3 {
			c.publish(t.Context(), c.nodes[0], lost)
		}
	}, replica)
	cluster.AwaitFailover(node)
	c.awaitGaps(1)
	c.say(lost, quiet)
	c.drain()
	for _, l := range c.listeners {
		want := pubsub.Failover
		if l.channel == lost {
			want = pubsub.Rewound
		}
		l.judge(ids(c.log(l.channel)), []pubsub.Reason{want})
	}
	away.say(elsewhere)
	away.drain()
	away.verify()
}

// A channel moves, and its new primary fails at once, with messages that no client saw.
// Clients with a cursor from before the move get a gap, although the first primary still
// runs. Clients of a channel that only moved get none, not even at nodes that have just
// started.
func TestClusterMovedAndLost(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3, 1)
	from := cluster.Nodes()[0]
	to := otherPrimary(cluster, from)
	c := newHarness(t, reach(cluster))
	lost, moved := channelAt(cluster, from, 0), channelAt(cluster, from, 1)
	c.say(lost)
	before := pubsub.CursorAfter(c.log(lost).End)
	cluster.MoveSlot(slotOf(cluster, lost), to)
	to.KillLosing(func() { c.say(lost) }, replicaOf(t, cluster, to))
	cluster.AwaitFailover(to)
	c.listeners = append(c.listeners, listenFrom(t, "had a cursor from the first primary", lost, before, 0, c.nodes[0]))
	c.awaitGaps(1)
	c.drain()
	c.verify(pubsub.Failover)

	options := reach(cluster)
	options.Timeout = patience // without an answer of each primary a failover is reported
	after := newHarness(t, options)
	longAfter := time.Now().Add(1500 * time.Millisecond) // more than clocks may differ
	await(t, "a message long after the failover", func() bool {
		after.say(moved)
		before = pubsub.CursorAfter(after.log(moved).End)
		return int64(before.ID.MS) > longAfter.UnixMilli()
	})
	cluster.MoveSlot(slotOf(cluster, moved), cluster.NodeFor("{"+lost+"}"))
	after.join(options)
	for i, node := range after.nodes {
		after.listeners = append(after.listeners, listenFrom(t, fmt.Sprint("resumed at node ", i), moved, before, 0, node))
	}
	after.say(moved)
	after.drain()
	after.verify()
}

// otherPrimary returns a primary other than the given one.
func otherPrimary(c *redistest.Cluster, not *redistest.Server) *redistest.Server {
	for i := 0; ; i++ {
		if p := c.NodeFor(fmt.Sprint(i)); p != not {
			return p
		}
	}
}

func ids(p *pubsub.Page) map[pubsub.ID]bool {
	all := make(map[pubsub.ID]bool)
	for _, m := range p.Messages {
		all[m.ID] = true
	}
	return all
}

// replicaOf returns the replica of a primary.
func replicaOf(t *testing.T, c *redistest.Cluster, primary *redistest.Server) *redistest.Server {
	t.Helper()
	own := primary.Do("CLUSTER", "MYID")
	rows := primary.Do("CLUSTER", "REPLICAS", own).([]any)
	for _, s := range c.Nodes() {
		if len(rows) == 1 && s.Do("CLUSTER", "MYID") == rows[0].(string)[:40] {
			return s
		}
	}
	t.Fatal("no replica")
	return nil
}

// Nodes are replaced, and come back at other addresses, until none of the
// addresses that Comet was given is left.
func TestClusterAddresses(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3, 1, redistest.Persist)
	c := newHarness(t, reach(cluster))
	channel := channelAt(cluster, cluster.Nodes()[0], 0)
	c.listen(channel)
	c.flood(channel)
	c.awaitMore(50)
	for _, node := range cluster.Nodes()[1:] {
		cluster.Readdress(node)
	}
	c.awaitMore(50)
	cluster.Replace(cluster.Nodes()[0])
	c.awaitGaps(1)
	c.awaitMore(50)
	c.drain()
	c.verify(pubsub.Failover)
}
