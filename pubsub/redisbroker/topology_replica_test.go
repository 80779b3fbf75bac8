package redisbroker_test

import (
	"errors"
	"strings"
	"testing"

	"comet/pubsub"
	"comet/pubsub/redistest"
)

// A replica serves no client: its data may be old, or not loaded yet.
func TestReplicaIsNotRead(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.TCP)
	b := newBroker(t, at(redistest.Replica(t, server).Addr()))
	defer b.Close()
	if err := b.Read(t.Context(), []pubsub.Query{{Channel: "a"}})[0].Err; !errors.Is(err, pubsub.ErrUnavailable) {
		t.Errorf("read: %v, want ErrUnavailable", err)
	}
	if err := b.Publish(t.Context(), []pubsub.Draft{{Channel: "a", Type: "message", Data: []byte("1")}})[0].Err; !errors.Is(err, pubsub.ErrUnavailable) {
		t.Errorf("publish: %v, want ErrUnavailable", err)
	}
}

// A node starts while its address leads to a replica, as a Kubernetes Service may during a
// switch. It waits, reports why it is not ready, and goes on as soon as the address leads
// to the primary, although its connections to the replica stay open.
func TestReplicaAtTheAddress(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.TCP)
	replica := redistest.Replica(t, server)
	front := redistest.StartProxy(t, replica.Addr())
	b := newBroker(t, at(front.Addr()))
	if err := b.Check(t.Context()); !errors.Is(err, pubsub.ErrUnavailable) || !strings.Contains(err.Error(), "it is a replica") {
		t.Errorf("check: %v, want ErrUnavailable that names the replica", err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}

	c := newHarness(t, at(server.Addr()), at(front.Addr()))
	saysReplica := func() bool {
		err := c.brokers[1].Ready()
		return err != nil && strings.Contains(err.Error(), "it is a replica; waiting for the primary")
	}
	await(t, "the node says that it is at a replica", saysReplica)
	front.Lead(server.Addr())
	c.awaitReady(1, true)
	await(t, "no relay connection is to the replica", func() bool { return subscribedConnections(replica) == "" })
	c.listen("a")
	c.say("a")
	c.drain()
	c.verify()

	front.Lead(replica.Addr())
	front.Reset()
	await(t, "the node says that it is at a replica again", saysReplica)
	front.Lead(server.Addr())
	c.awaitReady(1, true)
	c.say("a")
	c.drain()
	c.verify()
}
