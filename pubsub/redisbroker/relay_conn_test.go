package redisbroker

import (
	"testing"

	"comet/pubsub/redistest"
)

// A second confirmation of the probe's SUBSCRIBE has no effect.
func TestProbeConfirmedTwice(t *testing.T) {
	t.Parallel()
	c := &pubsubConn{}
	c.probe = newProbe(c)
	for range 2 {
		if err := c.handleProbeSubscription("subscribe"); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-c.probe.confirmed:
	default:
		t.Error("it is not confirmed")
	}
}

// go-redis does not reconnect a pubsubConn that ended: messages lost meanwhile would go
// unnoticed.
func TestLinkDoesNotReconnect(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b, err := New(Options{Addresses: []string{server.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	p, _ := b.topology.of(t.Context(), "a")
	c := newPubsubConn(&relay{broker: b}, pubsubConnKey{primary: p})
	defer c.pubsub.Close()
	if err := c.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.subscribe("a"); err != nil {
		t.Fatal(err)
	}
	connections := func() string { return server.Do("CLIENT", "LIST", "TYPE", "pubsub").(string) }
	for connections() == "" { // the SUBSCRIBE is on its way
	}
	server.KillPubSub()
	for err == nil { // the first write after the end may succeed
		err = c.subscribe("b")
	}
	for range 3 {
		if err := c.subscribe("c"); err == nil {
			t.Error("subscribed after the connection had ended")
		}
	}
	if all := connections(); all != "" {
		t.Errorf("there is a connection again: %s", all)
	}
}
