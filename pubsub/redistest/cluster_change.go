package redistest

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
)

// MoveSlot moves a slot with its keys to another primary, as resharding does,
// while the cluster serves, and returns when the cluster is well.
func (c *Cluster) MoveSlot(slot int, to *Server) {
	c.t.Helper()
	c.BeginMove(slot, to)()
}

// BeginMove is the first half of MoveSlot: the slot's owner keeps its keys, and
// sends those who ask for others to the new owner (ASK). The function that it
// returns is the second half.
func (c *Cluster) BeginMove(slot int, to *Server) (end func()) {
	c.t.Helper()
	from := c.layout().owner(slot)
	to.Do("CLUSTER", "SETSLOT", slot, "IMPORTING", c.ids[from])
	from.Do("CLUSTER", "SETSLOT", slot, "MIGRATING", c.ids[to])
	return func() {
		c.t.Helper()
		c.moveKeys(slot, from, to)
		// The new owner first: the other way round, no node would have the slot.
		owners := append([]*Server{to, from}, c.layout().primaries()...)
		for _, node := range owners {
			node.Do("CLUSTER", "SETSLOT", slot, "NODE", c.ids[to])
		}
		c.awaitEpoch(to)
		c.AwaitOK()
	}
}

// awaitEpoch waits until all nodes know the config epoch of node. With a move that
// begins before, they may never agree about the slot again.
func (c *Cluster) awaitEpoch(node *Server) {
	c.t.Helper()
	await(c.t, "all nodes know a config epoch", func() error {
		info, err := node.try("CLUSTER", "INFO")
		if err != nil {
			return err
		}
		epoch, err := field(info, "cluster_my_epoch")
		if err != nil {
			return err
		}
		for _, other := range c.running() {
			answer, err := other.try("CLUSTER", "NODES")
			if err != nil {
				return err
			}
			nodes, _ := answer.(string)
			if !slices.ContainsFunc(strings.Split(nodes, "\n"), func(line string) bool {
				words := strings.Fields(line) // ID, address, flags, primary, ping, pong, config epoch, …
				return len(words) > 6 && words[0] == c.ids[node] && words[6] == epoch
			}) {
				return fmt.Errorf("%s does not know epoch %s of %s", other.Addr(), epoch, node.Addr())
			}
		}
		return nil
	})
}

// moveKeys moves what is in the slot; from makes no new keys in it.
func (c *Cluster) moveKeys(slot int, from, to *Server) {
	c.t.Helper()
	const batch, timeoutMS = 100, 5000
	host, port, _ := net.SplitHostPort(to.addr)
	for {
		keys, _ := from.Do("CLUSTER", "GETKEYSINSLOT", slot, batch).([]any)
		if len(keys) == 0 {
			return
		}
		migrate := []any{"MIGRATE", host, port, "", 0, timeoutMS}
		if to.password != "" {
			migrate = append(migrate, "AUTH", to.password)
		}
		migrate = append(migrate, "KEYS")
		from.Do(append(migrate, keys...)...)
	}
}

// Failover makes a replica take over from its primary while that is well, and
// returns the new primary when the cluster is well.
func (c *Cluster) Failover(of *Server) *Server {
	c.t.Helper()
	for _, r := range c.layout() {
		if r.primary == of && len(r.replicas) > 0 {
			c.promote(r.replicas[0])
			return r.replicas[0]
		}
	}
	c.t.Fatalf("fail over %s: it is no primary with a replica that runs", of.addr)
	return nil
}

// AwaitFailover returns the primary that took over from another, as after its
// Kill, when the cluster is well.
func (c *Cluster) AwaitFailover(of *Server) *Server {
	c.t.Helper()
	shard := c.shardOf(of)
	return c.awaitPrimary(func(s *Server) bool { return s != of && slices.Contains(c.shards[shard], s) })
}

// Replace puts a new node, at another address and without data, in the place
// of one that may be down: it follows the shard's primary, takes over if the
// old node is the primary, and then that is stopped and forgotten by all.
func (c *Cluster) Replace(node *Server) *Server {
	c.t.Helper()
	shard := c.shardOf(node)
	primary := c.awaitPrimary(func(s *Server) bool { return slices.Contains(c.shards[shard], s) })
	fresh := c.addReplica(primary)
	c.AwaitOK()
	if primary == node {
		c.promote(fresh)
	}
	node.Stop()
	c.shards[shard] = slices.DeleteFunc(c.shards[shard], func(s *Server) bool { return s == node })
	for _, other := range c.running() {
		other.Do("CLUSTER", "FORGET", c.ids[node])
	}
	c.AwaitOK()
	return fresh
}

// Readdress stops a node and starts it at another address, where it is the
// same node to the others, and returns when the cluster is well. Its data is
// there if it has Persist or is a replica; a replica may take over meanwhile.
// Clients made before do not know the new address.
func (c *Cluster) Readdress(node *Server) {
	c.t.Helper()
	node.Stop()
	node.startAnywhere()
	c.AwaitOK()
}

// ReaddressAll is Readdress of all nodes at once, whatever they do, as when all
// pods of a Kubernetes cluster are lost.
func (c *Cluster) ReaddressAll() {
	c.t.Helper()
	nodes := c.Nodes()
	for _, node := range nodes {
		node.Kill()
	}
	for _, node := range nodes {
		node.startAnywhere()
	}
	for _, node := range nodes[1:] {
		c.introduce(node) // none knows where the others are now
	}
	c.AwaitOK()
}

// promote makes replica take over from its primary, which is well.
func (c *Cluster) promote(replica *Server) {
	c.t.Helper()
	replica.Do("CLUSTER", "FAILOVER")
	c.awaitPrimary(func(s *Server) bool { return s == replica })
}

// awaitPrimary returns a primary that is wanted, when the cluster is well.
func (c *Cluster) awaitPrimary(wanted func(*Server) bool) *Server {
	c.t.Helper()
	var primary *Server
	await(c.t, "a node is primary", func() error {
		agreed, err := c.agreed()
		if err != nil {
			return err
		}
		primaries := agreed.primaries()
		i := slices.IndexFunc(primaries, wanted)
		if i < 0 {
			return errors.New("others are")
		}
		primary = primaries[i]
		return nil
	})
	c.AwaitOK()
	return primary
}

// shardOf is the index of the node's shard.
func (c *Cluster) shardOf(node *Server) int {
	c.t.Helper()
	i := slices.IndexFunc(c.shards, func(shard []*Server) bool { return slices.Contains(shard, node) })
	if i < 0 {
		c.t.Fatalf("%s is not of this cluster", node.addr)
	}
	return i
}
