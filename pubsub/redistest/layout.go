package redistest

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"
)

// layout is who has which slots, by slot.
type layout []slotRange

// slotRange is who has the slots from first to last.
type slotRange struct {
	first, last int
	primary     *Server
	replicas    []*Server // by ID
}

func (a slotRange) equal(b slotRange) bool {
	return a.first == b.first && a.last == b.last && a.primary == b.primary && slices.Equal(a.replicas, b.replicas)
}

// owner is the primary that has the slot; nil: nobody has it.
func (l layout) owner(slot int) *Server {
	for _, r := range l {
		if r.first <= slot && slot <= r.last {
			return r.primary
		}
	}
	return nil
}

// primaries are those that have slots, each once.
func (l layout) primaries() []*Server {
	var all []*Server
	for _, r := range l {
		if !slices.Contains(all, r.primary) {
			all = append(all, r.primary)
		}
	}
	return all
}

// layout returns the cluster's when it is well, see AwaitOK.
func (c *Cluster) layout() layout {
	c.t.Helper()
	var agreed layout
	await(c.t, "the cluster is well", func() (err error) {
		agreed, err = c.agreed()
		return err
	})
	return agreed
}

// agreed asks every node that runs once.
func (c *Cluster) agreed() (layout, error) {
	running := c.running()
	var first layout
	for i, node := range running {
		if state, err := node.clusterState(); err != nil || state != "ok" {
			return nil, fmt.Errorf("%s says %q (%v)", node.addr, state, err)
		}
		seen, err := c.seenBy(node)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			first = seen
		}
		if !slices.EqualFunc(first, seen, slotRange.equal) {
			return nil, fmt.Errorf("%s and %s see different nodes", running[0].addr, node.addr)
		}
	}
	return first, first.complete(running)
}

// complete fails unless exactly the servers given have parts.
func (l layout) complete(servers []*Server) error {
	parts := make(map[*Server]bool)
	for _, r := range l {
		for _, s := range append(r.replicas, r.primary) {
			if !s.running() {
				return fmt.Errorf("%s is down and has a part", s.addr)
			}
			parts[s] = true
		}
	}
	if len(parts) < len(servers) {
		return fmt.Errorf("%d of %d nodes have a part", len(parts), len(servers))
	}
	return nil
}

// clusterState is the word of CLUSTER INFO.
func (s *Server) clusterState() (string, error) {
	text, err := s.try("CLUSTER", "INFO")
	if err != nil {
		return "", err
	}
	return field(text, "cluster_state")
}

// seenBy is the layout in node's view.
func (c *Cluster) seenBy(node *Server) (layout, error) {
	ctx, cancel := context.WithTimeout(context.Background(), doTimeout)
	defer cancel()
	//lint:ignore SA1019 this reply, and not that of CLUSTER SHARDS, is what go-redis goes by
	ranges, err := node.client.ClusterSlots(ctx).Result()
	if err != nil {
		return nil, err
	}
	seen := make(layout, len(ranges))
	for i, r := range ranges {
		if seen[i], err = c.rangeOf(r); err != nil {
			return nil, fmt.Errorf("%s names %w", node.addr, err)
		}
	}
	slices.SortFunc(seen, func(a, b slotRange) int { return cmp.Compare(a.first, b.first) })
	return seen, nil
}

// rangeOf is one row of CLUSTER SLOTS: the primary, then its replicas, at the
// addresses that they have now.
func (c *Cluster) rangeOf(row redis.ClusterSlot) (slotRange, error) {
	r := slotRange{first: row.Start, last: row.End}
	slices.SortFunc(row.Nodes[1:], func(a, b redis.ClusterNode) int { return cmp.Compare(a.ID, b.ID) })
	for i, n := range row.Nodes {
		server := c.byID(n.ID)
		if server == nil || server.addr != n.Addr {
			return r, fmt.Errorf("unknown node %s at %s", n.ID, n.Addr)
		}
		if i == 0 {
			r.primary = server
		} else {
			r.replicas = append(r.replicas, server)
		}
	}
	return r, nil
}

func (c *Cluster) byID(id string) *Server {
	for _, s := range c.Nodes() {
		if c.ids[s] == id {
			return s
		}
	}
	return nil
}
