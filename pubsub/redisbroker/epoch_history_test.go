package redisbroker_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"comet/pubsub"
	"comet/pubsub/redisbroker"
	"comet/pubsub/redistest"
)

func at(address string) redisbroker.Options {
	return redisbroker.Options{Addresses: []string{address}}
}

// Redis crashes and comes back with its data, under load.
func TestRestartWithData(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Persist)
	c := newHarness(t, at(server.Addr()))
	c.listen("busy", "quiet")
	c.say("quiet")
	c.flood("busy")
	c.awaitMore(50)
	server.Kill()
	c.awaitReady(0, false)
	server.Restart()
	c.awaitGaps(1)
	c.awaitReady(0, true)
	c.awaitMore(50)
	c.say("quiet")
	c.drain()
	c.verify(pubsub.Failover)
}

// Redis crashes and comes back empty, under load.
func TestRestartEmpty(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	c := newHarness(t, at(server.Addr()))
	c.listen("busy", "quiet")
	c.say("quiet")
	c.awaitReceived()
	c.flood("busy")
	c.awaitMore(50)
	server.Kill()
	server.Restart()
	c.awaitGaps(1)
	c.awaitMore(50)
	c.say("quiet")
	c.drain()
	c.verify(pubsub.Restarted)
}

// Redis hangs for less than Timeout: everything waits, and then goes on.
func TestFrozenShortly(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	options := at(server.Addr())
	options.Timeout = patience
	c := newHarness(t, options)
	c.listen("busy")
	c.flood("busy")
	c.awaitMore(50)
	links := subscribedConnections(server)
	server.Freeze()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if r := c.nodes[0].Publish(ctx, []pubsub.Draft{{Channel: "other", Data: []byte("1")}})[0]; !errors.Is(r.Err, pubsub.ErrOutcomeUnknown) && !errors.Is(r.Err, pubsub.ErrUnavailable) {
		t.Errorf("publish to a frozen redis: %v", r.Err) // unavailable: it waited for earlier calls, and never left
	}
	server.Thaw()
	c.awaitMore(50)
	c.drain()
	if now := subscribedConnections(server); now != links {
		t.Errorf("relay connections were %s, are %s", links, now)
	}
	c.verify()
}

// Redis hangs for longer than Timeout, as 10 s or 60 s are with the default of 3 s:
// publishes fail, and nothing is lost or reported.
func TestFrozenLong(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	options := at(server.Addr())
	c := newHarness(t, options)
	c.listen("busy", "quiet")
	c.say("quiet")
	c.flood("busy")
	c.awaitMore(50)
	server.Freeze()
	c.awaitReady(0, false)
	for range 4 {
		if _, err := c.try(c.nodes[0], "other"); !errors.Is(err, pubsub.ErrOutcomeUnknown) && !errors.Is(err, pubsub.ErrUnavailable) {
			t.Errorf("publish answered %v", err)
		}
	}
	server.Thaw()
	c.awaitReady(0, true)
	c.awaitMore(50)
	c.say("quiet")
	c.drain()
	c.verify()
}

// subscribedConnections returns the IDs of the connections with subscriptions.
func subscribedConnections(server *redistest.Server) string {
	var all []string
	for line := range strings.Lines(server.Do("CLIENT", "LIST", "TYPE", "pubsub").(string)) {
		all = append(all, strings.Fields(line)[0])
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// One node is cut off from Redis, and others are not.
func TestNodeCutOff(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr())
	options := at(server.Addr())
	cut := at(proxy.Addr())
	c := newHarness(t, options, cut)
	c.listen("a")
	c.say("a")
	c.awaitReceived()
	proxy.Cut()
	c.awaitReady(1, false)
	for range 100 {
		c.say("a")
	}
	c.listeners[0].awaitID(c.log("a").End) // at the other node
	if err := c.brokers[0].Ready(); err != nil {
		t.Errorf("the other node is not ready: %v", err)
	}
	if _, err := c.try(c.nodes[1], "other"); err == nil {
		t.Error("a publish at the node was accepted")
	}
	proxy.Heal()
	c.awaitReady(1, true)
	c.say("a")
	c.drain()
	c.verify()
}

// The primary is demoted and promoted again while connections stay open.
func TestDemotedAndPromoted(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.TCP)
	other := redistest.Replica(t, server)
	c := newHarness(t, at(server.Addr()))
	c.listenFixed("busy", "quiet")
	c.say("quiet")
	c.flood("busy")
	c.awaitMore(50)
	c.drain()
	server.AwaitReplica(other)
	other.Promote()
	server.ReplicaOf(other.Addr())
	other.AwaitReplica(server)
	c.awaitReady(0, false)
	if _, err := c.try(c.nodes[0], "busy"); !errors.Is(err, pubsub.ErrUnavailable) {
		t.Errorf("publish to a replica: %v, want ErrUnavailable", err)
	}
	server.Promote()
	c.awaitGaps(1) // on the quiet channel too
	c.awaitReady(0, true)
	c.flood("busy")
	c.awaitMore(50)
	c.say("quiet")
	c.drain()
	c.verify(pubsub.Failover)
}

// The primary is replaced by one without data, and then takes over again with all its
// data, like a restored backup: no message comes twice.
func TestPrimaryComesBack(t *testing.T) {
	t.Parallel()
	server, other := redistest.Start(t, redistest.TCP), redistest.Start(t, redistest.TCP)
	front := redistest.StartProxy(t, server.Addr())
	c := newHarness(t, at(front.Addr()))
	c.listenFixed("a")
	c.say("a", "a", "a")
	c.awaitReceived()
	for n, to := range []*redistest.Server{other, server} {
		front.Lead(to.Addr())
		front.Reset()
		c.awaitGaps(n + 1)
	}
	c.say("a")
	c.drain()
	c.verify(pubsub.Restarted, pubsub.Failover)
}

// A primary gets its first replica, for which Redis draws a new replication ID. That is
// no failover.
func TestFirstReplica(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.TCP)
	c := newHarness(t, at(server.Addr()))
	c.listen("busy", "quiet")
	c.say("quiet")
	c.flood("busy")
	c.awaitMore(50)
	before := c.log("busy").End.Epoch
	redistest.Replica(t, server)
	await(t, "there is a new epoch", func() bool { return c.log("busy").End.Epoch != before })
	c.awaitMore(50)
	c.say("quiet")
	c.drain()
	c.verify()
}

// The clock of Redis steps back: IDs keep increasing.
func TestClockSteppedBack(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Clock(0))
	c := newHarness(t, at(server.Addr()))
	c.listen("busy")
	c.flood("busy")
	for _, offset := range []time.Duration{-time.Second, -time.Minute, 0} {
		c.awaitMore(50)
		server.SetClock(offset)
	}
	c.awaitMore(50)
	c.drain()
	c.verify()
}
