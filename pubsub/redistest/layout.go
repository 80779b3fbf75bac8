package redistest

import (
	"cmp"
	"fmt"
	"net"
	"slices"
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

// owner is the primary that has the slot; nil: no node has it.
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
	answer, err := node.try("CLUSTER", "SLOTS")
	if err != nil {
		return nil, err
	}
	rows, _ := answer.([]any)
	seen := make(layout, len(rows))
	for i, row := range rows {
		if seen[i], err = c.rangeOf(row); err != nil {
			return nil, fmt.Errorf("%s names %w", node.addr, err)
		}
	}
	slices.SortFunc(seen, func(a, b slotRange) int { return cmp.Compare(a.first, b.first) })
	return seen, nil
}

// rangeOf is one row of CLUSTER SLOTS: the first and last slot, the primary, then
// its replicas, at the ports that they have now.
func (c *Cluster) rangeOf(answer any) (slotRange, error) {
	row, _ := answer.([]any)
	if len(row) < 3 {
		return slotRange{}, fmt.Errorf("a row that is %v", answer)
	}
	var r slotRange
	first, _ := row[0].(int64)
	last, _ := row[1].(int64)
	r.first, r.last = int(first), int(last)
	for i, node := range row[2:] {
		server, err := c.named(node)
		if err != nil {
			return r, err
		}
		if i == 0 {
			r.primary = server
		} else {
			r.replicas = append(r.replicas, server)
		}
	}
	slices.SortFunc(r.replicas, func(a, b *Server) int { return cmp.Compare(c.ids[a], c.ids[b]) })
	return r, nil
}

// named is the server of a node in CLUSTER SLOTS: {endpoint, port, ID, ...}. The
// endpoint depends on the options, see Endpoints.
func (c *Cluster) named(answer any) (*Server, error) {
	node, _ := answer.([]any)
	if len(node) < 3 {
		return nil, fmt.Errorf("a node that is %v", answer)
	}
	id, _ := node[2].(string)
	server := c.byID(id)
	if server != nil {
		if _, port, _ := net.SplitHostPort(server.addr); port == fmt.Sprint(node[1]) {
			return server, nil
		}
	}
	return nil, fmt.Errorf("unknown node %s at %v:%v", id, node[0], node[1])
}

func (c *Cluster) byID(id string) *Server {
	for _, s := range c.Nodes() {
		if c.ids[s] == id {
			return s
		}
	}
	return nil
}
