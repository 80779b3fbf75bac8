package pubsubtest

import (
	"testing"

	"comet/pubsub"
)

// The members of a node that dies leave, once, though two others see it. Those
// who came to another node meanwhile stay.
func testPresenceNodeDies(t *testing.T, newCluster New) {
	c := newCluster(t, small)
	a, b, third := joinNode(t, c, pubsub.PresenceOptions{}), joinNode(t, c, pubsub.PresenceOptions{}), joinNode(t, c, pubsub.PresenceOptions{})
	r := read(t, b.hub, "c", pubsub.From{})
	read(t, third.hub, "c", pubsub.From{})
	a.join("alice")
	a.await("alice")
	a.join("bob")
	a.await("alice", "bob")
	b.join("bob")
	pass(t, presenceTTL/4) // time to renew
	r.awaitPresence("+alice +bob")
	a.broker.dead.Store(true)
	b.await("bob")
	pass(t, presenceTTL/4)
	r.awaitPresence("+alice +bob -alice")
	// It was not dead, only cut off: its members are back, with a join.
	a.broker.dead.Store(false)
	b.await("alice", "bob")
	r.awaitPresence("+alice +bob -alice +alice")
}

// A node that closes gives its members the grace to come to another one.
func testPresenceNodeCloses(t *testing.T, newCluster New) {
	c := newCluster(t, small)
	graceful := pubsub.PresenceOptions{Grace: longGrace}
	a, b := joinNode(t, c, graceful), joinNode(t, c, graceful)
	r := read(t, b.hub, "c", pubsub.From{})
	a.join("alice")
	a.await("alice")
	a.join("bob")
	a.await("alice", "bob")
	a.presence.Close()
	b.join("alice")
	b.await("alice")
	r.awaitPresence("+alice +bob -bob")
}

// The broker loses everything: the members are back soon, and subscribers get no
// joins that they had before.
func testPresenceRestartEmpty(t *testing.T, newCluster New) {
	c := newCluster(t, alone)
	need(t, c.Restart != nil, "restart")
	testPresenceSurvives(t, c, func() { c.Restart(true) })
}

func testPresenceWiped(t *testing.T, newCluster New) {
	c := newCluster(t, alone)
	need(t, c.Wipe != nil, "wipe")
	testPresenceSurvives(t, c, c.Wipe)
}

func testPresenceRestartWithData(t *testing.T, newCluster New) {
	c := newCluster(t, alone)
	need(t, c.Restart != nil, "restart")
	testPresenceSurvives(t, c, func() { c.Restart(false) })
}

// Away for longer than any lease.
func testPresenceAway(t *testing.T, newCluster New) {
	c := newCluster(t, alone)
	need(t, c.Stop != nil, "stop")
	testPresenceSurvives(t, c, func() {
		c.Stop()
		pass(t, presenceTTL)
		c.Start()
	})
}

func testPresenceSurvives(t *testing.T, c *Cluster, trouble func()) {
	a, b := joinNode(t, c, pubsub.PresenceOptions{}), joinNode(t, c, pubsub.PresenceOptions{})
	r := read(t, b.hub, "c", pubsub.From{})
	alice := a.join("alice")
	a.await("alice")
	b.join("bob")
	b.await("alice", "bob")
	r.awaitPresence("+alice +bob")
	trouble()
	b.await("alice", "bob")
	persist(t, b.hub, "c", number(1))
	r.message(number(1))
	pass(t, presenceTTL*3/5) // a lease
	a.await("alice", "bob")
	a.presence.Leave(alice)
	b.await("bob")
	r.awaitPresence("+alice +bob -alice")
}
