package redisbroker

import (
	"slices"
	"testing"
	"time"
)

// Addresses as Redis prints them, with the address that was asked.
func TestReachable(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ said, asked, want string }{
		{"10.0.0.2:7001", "10.0.0.1:7000", "10.0.0.2:7001"},
		{"redis-1.example:7001", "10.0.0.1:7000", "redis-1.example:7001"},
		{"fd00::2:7001", "10.0.0.1:7000", "[fd00::2]:7001"},
		{"[fd00::2]:7001", "10.0.0.1:7000", "[fd00::2]:7001"},
		{"::1:7001", "[::1]:7000", "[::1]:7001"},
		{":7001", "10.0.0.1:7000", "10.0.0.1:7001"}, // cluster-preferred-endpoint-type unknown-endpoint
		{":7001", "[fd00::1]:7000", "[fd00::1]:7001"},
		{"?:7001", "redis.example:7000", "redis.example:7001"},   // a host name that is not set
		{"127.0.0.1:7001", "vm.example:7000", "vm.example:7001"}, // forwarded ports
		{"127.0.0.1:7001", "10.0.0.1:7000", "10.0.0.1:7001"},
		{"::1:7001", "vm.example:7000", "vm.example:7001"},
		{"127.0.0.1:7001", "localhost:7000", "127.0.0.1:7001"},
		{"127.0.0.1:7001", "127.0.0.2:7000", "127.0.0.1:7001"},
		{"10.0.0.2:0", "10.0.0.1:7000", "10.0.0.2:7000"}, // TLS alone
		{"10.0.0.2", "10.0.0.1:7000", "10.0.0.2:7000"},
	} {
		host, port := splitAddress(test.said)
		if got := reachable(host, port, test.asked); got != test.want {
			t.Errorf("%s, said at %s: %s, want %s", test.said, test.asked, got, test.want)
		}
	}
}

func TestParseNodes(t *testing.T) {
	t.Parallel()
	v, err := parseNodes(`aa 127.0.0.1:7000@17000,one.example myself,master - 0 1426238317239 4 connected 0-5460 [93-<-bb] [5->-bb]
bb ::1:7001@17001,,shard-id=11,tls-port=0 master,fail? - 0 1426238316232 2 connected 5461-5470 5480
cc :7002@17002 slave,nofailover aa 0 1426238318243 4 connected
dd 10.0.0.4:7003@17003 master,nofailover - 0 1426238316232 3 connected
ee 10.0.0.5:7004@17004 master,fail - 0 1426238316232 1 disconnected 6000
ff :0@0 master,noaddr - 0 1426238316232 1 disconnected
`, "redis.example:7000")
	if err != nil {
		t.Fatal(err)
	}
	if v.self != "aa" || len(v.nodes) != 6 {
		t.Errorf("it is %q of %d", v.self, len(v.nodes))
	}
	for id, healthy := range map[string]bool{"aa": true, "bb": false, "cc": true, "dd": true, "ee": false, "ff": false} {
		if n := v.nodes[id]; n.healthy != healthy || n.primary != (id != "cc") {
			t.Errorf("%s: %+v", id, n)
		}
	}
	if got := v.nodes["bb"].slots; !slices.Equal(got, []slotRange{{5461, 5470}, {5480, 5480}}) {
		t.Errorf("bb has slots %v", got)
	}
	if got := v.nodes["aa"].slots; !slices.Equal(got, []slotRange{{0, 5460}}) {
		t.Errorf("aa has slots %v", got)
	}
	if got := v.nodes["aa"].names; !slices.Contains(got, "one.example:7000") || !slices.Contains(got, "redis.example:7000") {
		t.Errorf("aa is called %v", got)
	}
	if l := merge([]*view{v, v}); l.replicas["aa"] != 1 || l.replicas["bb"] != 0 {
		t.Errorf("the primaries have %v replicas", l.replicas)
	}
	if got := v.nodes["cc"].endpoint; got != "redis.example:7002" {
		t.Errorf("cc is at %s", got)
	}
	v.takeEndpoints([]any{[]any{int64(0), int64(5460),
		[]any{"two.example", int64(7000), "aa", []any{"ip", "127.0.0.1"}},
		[]any{nil, int64(7002), "cc"}, []any{"?", int64(1), "dd"}, []any{"short"},
	}, "nonsense"})
	for id, want := range map[string]string{"aa": "two.example:7000", "cc": "redis.example:7002", "dd": "10.0.0.4:7003", "bb": "redis.example:7001"} {
		if got := v.nodes[id].endpoint; got != want {
			t.Errorf("%s is at %s, want %s", id, got, want)
		}
	}
	if _, err := parseNodes("aa 127.0.0.1:7000@17000 master - 0 0 4 connected\n", "x:1"); err == nil {
		t.Error("parsed an answer without a node")
	}
}

// claim returns a view with one node.
func claim(epoch uint64, endpoint string, first, last int) *viewNode {
	return &viewNode{primary: true, healthy: true, epoch: epoch, endpoint: endpoint, names: []string{endpoint}, slots: []slotRange{{first, last}}}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	// old was frozen while new took over; late has not heard of it; moved imported
	// slot 5 from old.
	old := &view{from: "o:1", self: "old", nodes: map[string]*viewNode{"old": claim(1, "o:1", 0, 9), "late": claim(2, "l:1", 10, slots-1)}}
	fresh := &view{from: "n:1", self: "new", nodes: map[string]*viewNode{"old": {endpoint: "o:1"}, "new": claim(7, "n:1", 0, 9), "late": claim(2, "l:1", 10, slots-1)}}
	late := &view{from: "l:1", self: "late", nodes: map[string]*viewNode{"old": claim(1, "o:1", 0, 9), "late": claim(2, "l:1", 10, slots-1), "moved": claim(8, "m:1", 5, 5)}}
	for _, views := range [][]*view{{old, fresh, late}, {late, fresh, old}} {
		l := merge(views)
		for slot, want := range map[int]string{0: "new", 5: "moved", 9: "new", 10: "late", slots - 1: "late"} {
			if l.owner[slot] != want {
				t.Errorf("slot %d is %s's, want %s", slot, l.owner[slot], want)
			}
		}
		if l.owners["old"] || !l.primaries["old"] {
			t.Errorf("old is an owner: %v, or no primary for anyone", l.owners["old"])
		}
	}
	if l := merge([]*view{old, late}); l.owner[0] != "old" {
		t.Errorf("where no answer knows better, slot 0 is %s's", l.owner[0])
	}
	// The own view of a node that lost a slot overrules epochs.
	gave := &view{from: "o:1", self: "old", nodes: map[string]*viewNode{"old": claim(9, "o:1", 1, 9), "new": claim(1, "n:1", 0, 0)}}
	others := &view{from: "l:1", self: "late", nodes: map[string]*viewNode{"old": claim(9, "o:1", 0, 9), "late": claim(2, "l:1", 10, 20)}}
	if l := merge([]*view{gave, others}); l.owner[0] != "new" || l.owner[1] != "old" || l.owner[21] != "" {
		t.Errorf("slots 0, 1, 21 are %q, %q, %q", l.owner[0], l.owner[1], l.owner[21])
	}
}

// An address at which the node answered is better than what others say, and what
// most say is better than what one says.
func TestMergeEndpoints(t *testing.T) {
	t.Parallel()
	said := func(from, self, a, b string) *view {
		return &view{from: from, self: self, nodes: map[string]*viewNode{"a": claim(1, a, 0, 1), "b": claim(2, b, 2, 3)}}
	}
	l := merge([]*view{said("a1:1", "a", "a1:1", "b2:1"), said("x:1", "b", "a2:1", "b1:1"), said("y:1", "c", "a2:1", "b1:1")}[:2])
	if got := l.endpoints["a"]; !slices.Equal(got, []string{"a1:1", "a2:1"}) {
		t.Errorf("a is at %v", got)
	}
	most := merge([]*view{said("a3:1", "a", "a3:1", "b2:1"), said("x:1", "b", "a3:1", "b1:1"), said("z:1", "b", "a3:1", "b1:1")})
	if got := most.endpoints["b"][0]; got != "b1:1" {
		t.Errorf("b is at %s", got)
	}
}

// A node that was reset, or has not joined a cluster yet, changes nothing.
func TestAdoptOfNothing(t *testing.T) {
	t.Parallel()
	c := newCluster(Options{Addresses: []string{"127.0.0.1:1"}, Timeout: time.Second})
	defer c.close()
	fine := &view{from: "n:1", self: "new", nodes: map[string]*viewNode{"new": claim(7, "n:1", 0, slots-1)}}
	if err := c.adopt([]*view{fine}); err != nil || c.whole() != nil {
		t.Fatal(err, c.whole())
	}
	before := c.known()
	if err := c.adopt([]*view{{from: "r:1", self: "reset", nodes: map[string]*viewNode{"reset": {endpoint: "r:1", primary: true}}}}); err == nil {
		t.Error("adopted a cluster without slots")
	}
	if !slices.Equal(c.known(), before) {
		t.Error("the primaries are others")
	}
	half := &view{from: "n:1", self: "new", nodes: map[string]*viewNode{"new": claim(7, "n:1", 0, 99)}}
	if err := c.adopt([]*view{half}); err != nil || c.whole() == nil || !slices.Equal(c.known(), before) {
		t.Errorf("%v; ready although slots have no primary: %v", err, c.whole())
	}
}
