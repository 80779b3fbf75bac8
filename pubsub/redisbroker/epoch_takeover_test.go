package redisbroker_test

import (
	"testing"
	"time"

	"comet/internal/testenv"
	"comet/pubsub"
	"comet/pubsub/redisbroker"
	"comet/pubsub/redistest"
)

// takeoverHarness is a primary with a replica, and nodes with MinReplicas 1. They reach
// the primary through front.
type takeoverHarness struct {
	*harness
	primary, replica *redistest.Server
	way              *redistest.Proxy // of the replica to the primary
	front            *redistest.Proxy // of the nodes to the current primary
	options          redisbroker.Options
	kept             pubsub.Cursor // after a message that every server has
}

func newTakeoverHarness(t *testing.T) *takeoverHarness {
	d := &takeoverHarness{primary: redistest.Start(t, redistest.TCP)}
	d.way = redistest.StartProxy(t, d.primary.Addr())
	d.replica = redistest.Replica(t, d.primary)
	d.replica.ReplicaOf(d.way.Addr())
	d.primary.AwaitReplica(d.replica)
	d.front = redistest.StartProxy(t, d.primary.Addr())
	d.options = at(d.front.Addr())
	d.options.MinReplicas, d.options.Timeout = 1, 3*time.Second
	d.harness = newHarness(t, d.options, d.options)
	d.say("a")
	d.kept = pubsub.CursorAfter(d.log("a").End)
	d.awaitProbe()
	return d
}

// awaitProbe waits until all nodes have probed the primary after the call.
func (c *harness) awaitProbe() {
	c.t.Helper()
	asked := time.Now()
	for _, b := range c.brokers {
		await(c.t, "the node has probed", func() bool {
			age, ok := b.RelayAge()
			return ok && age < time.Since(asked)
		})
	}
}

// awaitOldServers waits until all nodes have probed the primary at a time at which the
// servers that run now were certainly running, as uptime is in whole seconds.
func (c *harness) awaitOldServers() {
	c.t.Helper()
	for since := time.Now(); time.Since(since) < 3*time.Second; {
		c.awaitProbe()
	}
}

// redirect makes the nodes connect to another primary.
func (d *takeoverHarness) redirect(to *redistest.Server) {
	d.front.Lead(to.Addr())
	d.front.Reset()
	d.awaitProbe()
}

// resume returns what a client with the cursor d.kept gets at a node, up to a message
// published by resume.
func (d *takeoverHarness) resume(node *pubsub.Hub) []pubsub.Item {
	d.t.Helper()
	l := listenFrom(d.t, "resumed subscriber", "a", d.kept, 0, node)
	d.say("a")
	l.awaitID(d.log("a").End)
	return l.items
}

// A replica that had everything takes over: no gap is reported, not even at nodes that
// start afterwards.
func TestTakeoverWhole(t *testing.T) {
	testenv.Large(t)
	t.Parallel()
	d := newTakeoverHarness(t)
	d.say("a")
	d.awaitOldServers()
	d.primary.Kill()
	d.replica.Promote()
	redistest.Replica(t, d.replica) // without it nothing would be acknowledged
	d.redirect(d.replica)
	for _, node := range []*pubsub.Hub{d.nodes[0], d.join(d.options)} {
		if items := d.resume(node); len(gaps(items)) > 0 || len(items) < 2 {
			t.Errorf("got %d items, gaps %v, want all and no gap", len(items), gaps(items))
		}
	}
}

// Acknowledged messages are lost, or may be. That is reported, although a replica had to
// have them.
func TestTakeoverNotWhole(t *testing.T) {
	testenv.Large(t)
	t.Parallel()
	for name, fail := range map[string]func(t *testing.T, d *takeoverHarness) (primary *redistest.Server){
		"the primary restarts with what it had saved": func(_ *testing.T, d *takeoverHarness) *redistest.Server {
			d.primary.Do("SAVE")
			d.say("a")
			d.primary.Kill()
			d.primary.Restart()
			return d.primary
		},
		"the replica restarted with what it had saved": func(t *testing.T, d *takeoverHarness) *redistest.Server {
			d.replica.Do("SAVE")
			d.way.Cut()
			d.replica.Kill()
			d.replica.Restart()
			redistest.Replica(t, d.primary)
			d.say("a")
			d.awaitProbe()
			d.primary.Kill()
			d.replica.Promote()
			return d.replica
		},
		"one of two replicas lags": func(t *testing.T, d *takeoverHarness) *redistest.Server {
			redistest.Replica(t, d.primary)
			d.awaitProbe()
			d.way.Cut()
			d.say("a")
			d.primary.Kill()
			d.replica.Promote()
			return d.replica
		},
		"another replica came in place of one that is cut off": func(t *testing.T, d *takeoverHarness) *redistest.Server {
			d.way.Cut()
			d.primary.Do("CLIENT", "KILL", "TYPE", "replica")
			redistest.Replica(t, d.primary)
			d.say("a")
			d.awaitProbe()
			d.primary.Kill()
			d.replica.Promote()
			return d.replica
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newTakeoverHarness(t)
			to := fail(t, d)
			redistest.Replica(t, to)
			d.redirect(to)
			for _, node := range []*pubsub.Hub{d.nodes[0], d.join(d.options)} {
				reported := gaps(d.resume(node))
				if len(reported) != 1 || reported[0].Reason != pubsub.Failover {
					t.Errorf("got %v, want a failover", reported)
				}
			}
		})
	}
}
