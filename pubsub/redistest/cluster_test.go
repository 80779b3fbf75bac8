package redistest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// client finds the nodes by itself, as Comet does.
func (c *Cluster) client(t *testing.T) *redis.ClusterClient {
	first := c.Nodes()[0].Options()
	client := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: c.Addresses(), Password: first.Password, TLSConfig: first.TLSConfig,
	})
	t.Cleanup(func() { client.Close() })
	return client
}

// fill writes keys to all shards, which check then wants to find.
func (c *Cluster) fill(t *testing.T) (check func()) {
	t.Helper()
	client := c.client(t)
	each(t, func(ctx context.Context, key string) error { return client.Set(ctx, key, key, 0).Err() })
	return func() {
		t.Helper()
		client := c.client(t) // it knows nothing of what was before
		each(t, func(ctx context.Context, key string) error {
			got, err := client.Get(ctx, key).Result()
			if err == nil && got != key {
				err = fmt.Errorf("%s has %q", key, got)
			}
			return err
		})
	}
}

func each(t *testing.T, do func(context.Context, string) error) {
	t.Helper()
	for i := range 50 {
		if err := do(t.Context(), fmt.Sprint("key", i)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCluster(t *testing.T) {
	t.Parallel()
	c := StartCluster(t, 3, 1, TLS(), Password("secret"), User("other", "word", "+@all"))
	check := c.fill(t)
	owners := make(map[*Server]bool)
	each(t, func(_ context.Context, key string) error {
		node := c.NodeFor(key)
		owners[node] = true
		_, err := node.try("GET", key) // MOVED if it is another's
		return err
	})
	if len(owners) != 3 {
		t.Errorf("%d nodes own the keys", len(owners))
	}
	node := c.NodeFor("key0")
	primary := c.Failover(node)
	if got := c.NodeFor("key0"); primary == node || got != primary {
		t.Errorf("%s has the slot after %s, want %s", got.Addr(), node.Addr(), primary.Addr())
	}
	c.halfMoved(t, "key0")
	check()
}

// halfMoved moves the slot of key to another node and looks at it on the way.
func (c *Cluster) halfMoved(t *testing.T, key string) {
	t.Helper()
	from, to := c.NodeFor(key), c.NodeFor(keyOfOther(c, key))
	absent := "{" + key + "}absent"
	end := c.BeginMove(slotOf(c, key), to)
	if got := from.Do("GET", key); got != key {
		t.Errorf("half moved: the old owner has %v", got)
	}
	if _, err := from.try("GET", absent); err == nil || !strings.HasPrefix(err.Error(), "ASK") {
		t.Errorf("half moved: a key that the old owner has not: %v, want ASK", err)
	}
	end()
	if got := c.NodeFor(key); got != to {
		t.Errorf("%s has the moved slot, want %s", got.Addr(), to.Addr())
	}
}

// slotOf is the slot of a key.
func slotOf(c *Cluster, key string) int {
	return int(c.Nodes()[0].Do("CLUSTER", "KEYSLOT", key).(int64))
}

// keyOfOther is a key that another node has than that of key.
func keyOfOther(c *Cluster, key string) string {
	other := key
	for c.NodeFor(other) == c.NodeFor(key) {
		other += "'"
	}
	return other
}

func TestClusterCrash(t *testing.T) {
	t.Parallel()
	c := StartCluster(t, 3, 1)
	check := c.fill(t)
	node := c.NodeFor("key0")
	shard := c.shards[c.shardOf(node)]
	node.KillLosing(func() { node.Do("SET", "key0", "lost") }, shard[1:]...)
	primary := c.AwaitFailover(node)
	if got := c.NodeFor("key0"); got != primary || got == node {
		t.Errorf("%s has the slot, want %s", got.Addr(), primary.Addr())
	}
	check()
	node.Restart()
	c.AwaitOK()
	if got := c.NodeFor("key0"); got != primary {
		t.Errorf("%s has the slot since the old primary is back, want %s", got.Addr(), primary.Addr())
	}
	check()
}

func TestClusterAddresses(t *testing.T) {
	t.Parallel()
	c := StartCluster(t, 3, 1, Persist)
	check := c.fill(t)
	primary := c.NodeFor("key0")
	replica := c.shards[c.shardOf(c.NodeFor(keyOfOther(c, "key0")))][1]
	for what, node := range map[string]*Server{"primary": primary, "replica": replica} {
		had := c.Addresses()
		fresh := c.Replace(node)
		if slices.Contains(had, fresh.Addr()) {
			t.Errorf("%s: the new node has an old address", what)
		}
		if slices.Contains(c.Nodes(), node) || !slices.Contains(c.Nodes(), fresh) || len(c.Nodes()) != len(had) {
			t.Errorf("%s: the nodes are %v", what, c.Addresses())
		}
		check()
		if got := c.NodeFor("key0"); node == primary && got != fresh {
			t.Errorf("%s: the slot went to %s, want %s", what, got.Addr(), fresh.Addr())
		}
	}
	node := c.NodeFor("key0")
	had := node.Addr()
	c.Readdress(node)
	if node.Addr() == had {
		t.Error("the node is where it was")
	}
	check()
}
