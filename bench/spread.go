package bench

import (
	"errors"
	"fmt"
	"net/netip"
)

const (
	// spareDescriptors are reserved in a worker's process for its own streams,
	// epoll and the Go runtime.
	spareDescriptors = 64
	// workerMost is the number of subscribers that one loop serves well.
	workerMost = 16_000
	// workerLeast is the number of subscribers for which another worker pays off,
	// as long as there are cores.
	workerLeast = 5_000
	// workersMost bounds the processes of a host.
	workersMost = 64
	// arrivingMost limits the connects at a time: enough to keep the server busy,
	// without an overflow of its accept queue.
	arrivingMost = 128
	sparePorts   = 200 // of an address, for others
)

// spread divides the subscribers among workers.
type spread struct {
	subscribers int
	nodes       []node
	bound       bool // each worker has a source address of its own
}

func newSpread(subscribers int, nodes []node) spread {
	s := spread{subscribers: subscribers, nodes: nodes, bound: true}
	for _, n := range nodes {
		if !n.Address.Addr().IsLoopback() || !n.Address.Addr().Is4() {
			s.bound = false
		}
	}
	return s
}

// workers returns the number of workers that a host needs for subscribers. The
// error says what to do.
func (s *spread) workers(p *WorkerHost, h *hello, subscribers int) (int, error) {
	each := h.Descriptors - spareDescriptors
	if s.bound {
		each = min(each, s.reach(h))
	} else if limit := s.reach(h); subscribers > limit {
		return 0, fmt.Errorf("%s: %d subscribers exceed the %d connections that one address may have to these nodes: "+
			"widen net.ipv4.ip_local_port_range, add nodes, or share the load with more agents", p.Name, subscribers, limit)
	}
	if p.Single {
		if subscribers > each {
			return 0, fmt.Errorf("%s: %d subscribers need more than the %d descriptors that a process may have: raise ulimit -n, or use worker processes", p.Name, subscribers, h.Descriptors)
		}
		return 1, nil
	}
	if each < 1 {
		return 0, fmt.Errorf("%s: a process may have only %d descriptors: raise ulimit -n", p.Name, h.Descriptors)
	}
	n := divideUp(subscribers, min(each, workerMost))
	if n > workersMost {
		return 0, fmt.Errorf("%s: %d subscribers would take %d processes of %d descriptors: raise ulimit -n, or share the load with more agents",
			p.Name, subscribers, n, h.Descriptors)
	}
	return max(n, min(h.Cores, subscribers/workerLeast)), nil
}

// reach returns the number of connections that one address may have to the nodes.
func (s *spread) reach(h *hello) int {
	distinct := make(map[netip.AddrPort]bool)
	for _, n := range s.nodes {
		distinct[n.Address] = true
	}
	return max(0, h.Ports-sparePorts) * len(distinct)
}

func divideUp(a, b int) int { return (a + b - 1) / b }

// source returns the loopback address of a worker's connections.
func source(worker int) string {
	return netip.AddrFrom4([4]byte{127, 0, byte(1 + worker/200), byte(2 + worker%200)}).String()
}

// portion returns the i-th of n equal parts of total.
func portion(total, n, i int) (first, count int) {
	first = total * i / n
	return first, total*(i+1)/n - first
}

// startWorkers starts workers on every host and sends each its share.
func (c *coordinator) startWorkers() error {
	s := newSpread(c.plan.Subscribers, c.nodes)
	hosts := c.options.Hosts
	if len(hosts) == 0 {
		return errors.New("no host for workers")
	}
	hosts = hosts[:min(len(hosts), c.plan.Subscribers)]
	for i := range hosts {
		p := &hosts[i]
		first, count := portion(c.plan.Subscribers, len(hosts), i)
		m, err := c.workers.startWorker(c.ctx, p)
		if err != nil {
			return err
		}
		n, err := s.workers(p, &m.hello, count)
		if err != nil {
			return err
		}
		for k := range n {
			if k > 0 {
				if m, err = c.workers.startWorker(c.ctx, p); err != nil {
					return err
				}
			}
			at, size := portion(count, n, k)
			m.share = share{First: first + at, Count: size}
		}
	}
	for _, m := range c.workers.members {
		c.fill(&m.share, m.number, s.bound)
		if err := m.lines.send(order{Share: &m.share}); err != nil {
			return fmt.Errorf("%s: %w", m.host, err)
		}
	}
	return nil
}

// fill sets the fields of a share that are common to the workers.
func (c *coordinator) fill(s *share, worker int, bound bool) {
	s.Plan, s.Token, s.Headers = c.plan, c.plan.Target.Token, c.plan.Target.Headers
	s.Run, s.Nodes = c.run, c.nodes
	s.Arriving = max(8, arrivingMost/len(c.workers.members))
	if bound {
		s.Source = source(worker)
	}
}
