package bench

import (
	"net/netip"
	"testing"
)

func nodesAt(addresses ...string) (nodes []node) {
	for _, a := range addresses {
		nodes = append(nodes, node{Address: netip.MustParseAddrPort(a)})
	}
	return nodes
}

func TestSpread(t *testing.T) {
	loopback := nodesAt("127.0.0.1:1", "127.0.0.1:2")
	for _, test := range []struct {
		name        string
		nodes       []node
		subscribers int
		hello       hello
		single      bool
		want        int
		err         string
	}{
		{"few", loopback, 1000, hello{Descriptors: 20_000, Ports: 28_232, Cores: 2}, false, 1, ""},
		{"a worker a core", loopback, 10_000, hello{Descriptors: 20_000, Ports: 28_232, Cores: 2}, false, 2, ""},
		{"100,000 on 2 cores", loopback, 100_000, hello{Descriptors: 20_000, Ports: 28_232, Cores: 2}, false, 7, ""},
		{"many cores", loopback, 100_000, hello{Descriptors: 20_000, Ports: 28_232, Cores: 64}, false, 20, ""},
		{"few descriptors", loopback, 10_000, hello{Descriptors: 1024, Ports: 28_232, Cores: 2}, false, 11, ""},
		{"too few descriptors", loopback, 100_000, hello{Descriptors: 256, Ports: 28_232, Cores: 2}, false, 0, "would take 521 processes of 256 descriptors"},
		{"no descriptors", loopback, 1, hello{Descriptors: 60, Ports: 28_232, Cores: 2}, false, 0, "only 60 descriptors: raise ulimit -n"},
		{"few ports, an address a worker", nodesAt("127.0.0.1:1"), 10_000, hello{Descriptors: 20_000, Ports: 1200, Cores: 2}, false, 10, ""},
		{"few ports elsewhere", nodesAt("10.0.0.1:1"), 10_000, hello{Descriptors: 20_000, Ports: 1200, Cores: 2}, false, 0, "exceed the 1000 connections"},
		{"more nodes elsewhere", nodesAt("10.0.0.1:1", "10.0.0.2:1", "10.0.0.2:1"), 2000, hello{Descriptors: 20_000, Ports: 1200, Cores: 2}, false, 1, ""},
		{"IPv6 loopback has one address", nodesAt("[::1]:1"), 2000, hello{Descriptors: 20_000, Ports: 1200, Cores: 2}, false, 0, "exceed the 1000 connections"},
		{"in this process", loopback, 19_000, hello{Descriptors: 20_000, Ports: 28_232, Cores: 2}, true, 1, ""},
		{"too many in this process", loopback, 20_000, hello{Descriptors: 20_000, Ports: 28_232, Cores: 2}, true, 0, "or use worker processes"},
	} {
		s := newSpread(test.subscribers, test.nodes)
		n, err := s.workers(&WorkerHost{Name: "here", Single: test.single}, &test.hello, test.subscribers)
		if n != test.want || (err != nil) != (test.err != "") || err != nil && !contains(err, test.err) {
			t.Errorf("%s: %d, %v; want %d, %q", test.name, n, err, test.want, test.err)
		}
	}
}

func TestPortions(t *testing.T) {
	next := 0
	for i := range 7 {
		first, count := portion(100, 7, i)
		if first != next || count < 14 || count > 15 {
			t.Errorf("portion %d is %d from %d", i, count, first)
		}
		next = first + count
	}
	if next != 100 {
		t.Errorf("the portions are %d together", next)
	}
}

func TestSources(t *testing.T) {
	seen := make(map[string]bool)
	for worker := range 1000 {
		seen[source(worker)] = true
	}
	if len(seen) != 1000 || source(0) != "127.0.1.2" {
		t.Errorf("%d sources, the first %s", len(seen), source(0))
	}
}
