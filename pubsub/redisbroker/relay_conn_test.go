package redisbroker

import (
	"testing"

	"comet/pubsub/redistest"
)

// A second confirmation of the probe's SUBSCRIBE changes nothing.
func TestProbeConfirmedTwice(t *testing.T) {
	t.Parallel()
	l := &link{}
	l.probe = newProbe(l)
	for range 2 {
		if err := l.takeProbeSubscription("subscribe"); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-l.probe.confirmed:
	default:
		t.Error("it is not confirmed")
	}
}

// go-redis does not replace a link's connection that ended: what was missed
// meanwhile would go unnoticed.
func TestLinkDoesNotReconnect(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b, err := New(Options{Addresses: []string{server.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	p, _ := b.topology.of(t.Context(), "a")
	l := newLink(&relay{broker: b}, linkKey{primary: p})
	defer l.pubsub.Close()
	if err := l.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.subscribe("a"); err != nil {
		t.Fatal(err)
	}
	connections := func() string { return server.Do("CLIENT", "LIST", "TYPE", "pubsub").(string) }
	for connections() == "" { // the SUBSCRIBE is on its way
	}
	server.KillPubSub()
	for err == nil { // the first write after the end may succeed
		err = l.subscribe("b")
	}
	for range 3 {
		if err := l.subscribe("c"); err == nil {
			t.Error("subscribed after the connection had ended")
		}
	}
	if all := connections(); all != "" {
		t.Errorf("there is a connection again: %s", all)
	}
}
