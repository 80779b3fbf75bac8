package redistest

import (
	"net"
	"slices"
	"testing"
)

// slots is how many a Redis Cluster has.
const slots = 16384

// Cluster is a Redis Cluster whose nodes give each other up after half a
// second of silence. Like a Server it belongs to the test's own goroutine.
type Cluster struct {
	t        testing.TB
	settings settings // of every node

	shards [][]*Server        // a primary and its replicas each, in no order after a failover
	ids    map[*Server]string // as CLUSTER MYID
}

// StartCluster starts a Redis Cluster and returns when every node says that it
// is well. The primaries share the slots evenly. Only with three of them or
// more a replica of one that was killed is promoted. It takes 2 s and more: so
// long a cluster node takes no writes after its start.
func StartCluster(t testing.TB, primaries, replicasEach int, options ...Option) *Cluster {
	t.Helper()
	c := &Cluster{t: t, ids: make(map[*Server]string)}
	for _, option := range options {
		option(&c.settings)
	}
	c.settings.tcp, c.settings.kind = true, clusterNode
	c.settings.role = []directive{
		{"cluster-enabled", "yes"},
		{"cluster-node-timeout", "500"},
		{"cluster-replica-validity-factor", "0"}, // one that missed much may be promoted too
		{"cluster-allow-replica-migration", "no"},
	}
	for i := range primaries {
		c.shards = append(c.shards, nil)
		primary := c.startNode(i)
		primary.Do("CLUSTER", "SET-CONFIG-EPOCH", i+1) // or they would have to settle that all have the same
		primary.Do("CLUSTER", "ADDSLOTSRANGE", i*slots/primaries, (i+1)*slots/primaries-1)
		c.introduce(primary)
	}
	for range replicasEach {
		for _, shard := range c.shards {
			c.addReplica(shard[0])
		}
	}
	c.AwaitOK()
	return c
}

// Nodes are all nodes, by shard; at the start each shard's primary is its
// first.
func (c *Cluster) Nodes() []*Server { return slices.Concat(c.shards...) }

// Addresses are those of Nodes.
func (c *Cluster) Addresses() []string { return addresses(c.Nodes()) }

// AwaitOK returns when all nodes that run (those killed or frozen do not) say
// that the cluster is well and who has which slots, all the same, and every
// replica among them has what its primary has.
func (c *Cluster) AwaitOK() {
	c.t.Helper()
	for _, r := range c.layout() {
		for _, replica := range r.replicas {
			r.primary.AwaitReplica(replica)
		}
	}
}

// NodeFor is the primary that has the key's slot, when the cluster is well.
func (c *Cluster) NodeFor(key string) *Server {
	c.t.Helper()
	slot := c.running()[0].Do("CLUSTER", "KEYSLOT", key).(int64)
	return c.layout().owner(int(slot))
}

// startNode starts a server for a shard; it knows no other node yet.
func (c *Cluster) startNode(shard int) *Server {
	c.t.Helper()
	node := startServer(c.t, c.settings)
	c.ids[node] = node.Do("CLUSTER", "MYID").(string)
	c.shards[shard] = append(c.shards[shard], node)
	return node
}

// addReplica starts a replica.
func (c *Cluster) addReplica(primary *Server) *Server {
	c.t.Helper()
	node := c.startNode(c.shardOf(primary))
	c.introduce(node)
	await(c.t, "a node is a replica", func() error {
		_, err := node.try("CLUSTER", "REPLICATE", c.ids[primary])
		return err // it may not know the primary yet
	})
	return node
}

// introduce makes node meet all others that run.
func (c *Cluster) introduce(node *Server) {
	c.t.Helper()
	for _, other := range c.running() {
		if other != node {
			host, port, _ := net.SplitHostPort(other.addr)
			node.Do("CLUSTER", "MEET", host, port, other.busPort)
		}
	}
}

// running are the nodes that can answer.
func (c *Cluster) running() []*Server {
	return slices.DeleteFunc(c.Nodes(), func(s *Server) bool { return !s.running() })
}
