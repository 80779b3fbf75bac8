package test

import (
	"fmt"
	"strings"
	"testing"
)

// TestSentinelPods: the scripts of redis-ha make a primary with replicas, lose
// none of it when the primary goes, and find it again after all were away.
func TestSentinelPods(t *testing.T) {
	t.Parallel()
	redis, sentinels := []string{"redis-0", "redis-1", "redis-2"}, []string{"redis-sentinel-0", "redis-sentinel-1", "redis-sentinel-2"}
	p := newPods(t, "redis-ha", "127.88.1", append(redis, sentinels...)...)
	// primary is the one that all Sentinels name, with both replicas attached.
	primary := func() string {
		first := ""
		for _, s := range sentinels {
			name, _, _ := strings.Cut(p.ask(s, "26379", "sentinel", "get-master-addr-by-name", "comet"), ".")
			same := first == "" || name == first
			if first = name; !same || p.number[name] == 0 || !strings.Contains(p.ask(s, "26379", "info", "sentinel"), "status=ok,address="+name+".redis:6379,slaves=2,sentinels=3") {
				return ""
			}
		}
		if !strings.Contains(p.ask(first, "6379", "info", "replication"), "connected_slaves:2") {
			return ""
		}
		return first
	}
	for i := range redis {
		p.start(redis[i], "redis.sh")
		p.start(sentinels[i], "sentinel.sh")
	}
	p.await("redis-0 with two replicas", func() bool { return primary() == "redis-0" })
	if got := p.ask("redis-0", "6379", "set", "a", "1"); got != "OK" {
		t.Fatal(got)
	}

	handOver := p.command(t.Context(), "redis-0", "hand-over.sh")
	if output, err := handOver.CombinedOutput(); err != nil {
		t.Fatalf("hand over: %v: %s", err, output)
	}
	p.kill("redis-0")
	p.start("redis-0", "redis.sh")
	var second string
	p.await("another primary, with redis-0 as its replica", func() bool { second = primary(); return second != "" && second != "redis-0" })

	// All are down, and the Sentinels are back first.
	for _, name := range append(redis, sentinels...) {
		p.kill(name)
	}
	for _, name := range sentinels {
		p.start(name, "sentinel.sh")
	}
	for _, name := range redis {
		p.start(name, "redis.sh")
	}
	var third string // the same, unless it took so long that it was replaced
	p.await("a primary", func() bool { third = primary(); return third != "" })
	if got := p.ask(third, "6379", "get", "a"); got != "1" {
		t.Errorf("the value is %q, want 1", got)
	}

	p.kill(third)
	p.await("another primary", func() bool {
		name, _, _ := strings.Cut(p.ask(sentinels[0], "26379", "sentinel", "get-master-addr-by-name", "comet"), ".")
		return p.number[name] > 0 && name != third
	})
	p.start(third, "redis.sh")
	var fourth string
	p.await("the old one as a replica", func() bool { fourth = primary(); return fourth != "" && fourth != third })
	if got := p.ask(fourth, "6379", "get", "a"); got != "1" {
		t.Errorf("the value is %q, want 1", got)
	}
}

// TestClusterPods: the scripts of redis-cluster make a cluster, once, and it
// finds itself again where all addresses are new.
func TestClusterPods(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range 6 {
		names = append(names, fmt.Sprint("redis-cluster-", i))
	}
	p := newPods(t, "redis-cluster", "127.88.2", append(names, "create-0")...)
	whole := func() bool {
		for _, name := range names {
			if info := p.ask(name, "6379", "cluster", "info"); !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:6") {
				return false
			}
		}
		return true
	}
	create := func() {
		t.Helper()
		if output, err := p.command(t.Context(), "create-0", "create.sh").CombinedOutput(); err != nil || !strings.HasSuffix(string(output), "the cluster is whole\n") {
			t.Fatalf("create: %v: %s", err, output)
		}
	}
	for _, name := range names {
		p.start(name, "redis.sh")
	}
	create()
	if !whole() {
		t.Fatal("the cluster is not whole")
	}
	create() // again
	if got := p.ask(names[0], "6379", "set", "a", "1"); got != "OK" {
		t.Fatal(got)
	}
	// A pod that stops hands over first: its replica is the primary before it ends.
	p.await("a replica of "+names[0], func() bool { return strings.Contains(p.ask(names[0], "6379", "info", "replication"), "state=online") })
	if output, err := p.command(t.Context(), names[0], "hand-over.sh").CombinedOutput(); err != nil {
		t.Fatalf("hand over: %v: %s", err, output)
	}
	if role := p.ask(names[0], "6379", "role"); !strings.HasPrefix(role, "slave") {
		t.Errorf("after it has handed over its role is %q", role)
	}
	for _, name := range names {
		p.kill(name)
	}
	p.network = "127.88.3"
	p.writeHosts()
	for _, name := range names {
		p.start(name, "redis.sh")
	}
	p.await("a whole cluster at new addresses", whole)
	if got := p.ask(names[0], "6379", "get", "a"); got != "1" {
		t.Errorf("the value is %q, want 1", got)
	}
	create()
}
