package redisbroker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"comet/pubsub"
	"comet/pubsub/redistest"
)

// The round trip to Redis takes 300 ms: no connection is closed as dead, and publishers
// share round trips.
func TestSlow(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr())
	options := at(proxy.Addr())
	options.Timeout = 10 * time.Second // the default is 3 s
	c := newHarness(t, options)
	c.listen("a")
	c.awaitReady(0, true)
	c.awaitReady(1, true)
	links := subscribedConnections(server)
	proxy.Delay(150 * time.Millisecond) // each way
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() { c.say("a") })
	}
	all.Wait()
	for deadline := time.Now().Add(2500 * time.Millisecond); time.Now().Before(deadline); {
		c.say("a") // while pings and probes come and go
		for i, b := range c.brokers {
			if err := b.Ready(); err != nil {
				t.Fatalf("node %d: %v", i, err)
			}
		}
	}
	c.drain()
	if now := subscribedConnections(server); now != links {
		t.Errorf("relay connections were %s, are %s", links, now)
	}
	c.verify()
}

// A node does not read from the relay until Redis closes the connection.
func TestRelayOverrun(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Args("--client-output-buffer-limit", "pubsub 64kb 0 0"))
	proxy := redistest.StartProxy(t, server.Addr())
	slow := at(proxy.Addr())
	slow.Timeout = 10 * time.Second // so that Redis gives up first
	c := newHarness(t, at(server.Addr()), slow)
	c.listen("a")
	c.say("a")
	c.awaitReceived()
	links := subscribedConnections(server)
	proxy.Cut()
	drafts := make([]pubsub.Draft, 100)
	for i := range drafts {
		drafts[i] = pubsub.Draft{Channel: "a", Data: fmt.Appendf(nil, "%q", strings.Repeat("x", 15_000))}
	}
	await(t, "Redis ends a relay connection", func() bool {
		for _, r := range c.nodes[0].Publish(t.Context(), drafts) {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
		}
		return subscribedConnections(server) != links
	})
	proxy.Heal()
	c.say("a")
	c.drain()
	c.verify()
}

// A node starts while nothing answers its SUBSCRIBE.
func TestSubscribeUnanswered(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr())
	c := newHarness(t, at(server.Addr()))
	c.say("a")
	proxy.Cut()
	options := at(proxy.Addr())
	options.Timeout = 300 * time.Millisecond
	hub := c.join(options)
	ctx, cancel := context.WithTimeout(t.Context(), 5*options.Timeout)
	defer cancel()
	if _, err := hub.Subscribe(ctx, []pubsub.Start{{Channel: "a"}}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("subscribe: %v", err)
	}
	if err := c.brokers[2].Ready(); err == nil {
		t.Error("the node says that it is ready")
	}
	proxy.Heal()
	c.listen("a")
	c.awaitReady(2, true)
	c.say("a")
	c.drain()
	c.verify()
}
