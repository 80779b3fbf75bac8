package redisbroker_test

import (
	"testing"
	"time"

	"comet/pubsub"
	"comet/pubsub/redistest"
)

// A node is cut off for longer than a log is kept, and a message comes and
// expires meanwhile: on a channel that was empty as on one that was not, the
// node's subscribers are told.
func TestExpiredWhileNodeCutOff(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr())
	options := at(server.Addr())
	options.Size, options.TTL, options.Timeout = 100, time.Second, timeout
	hub := hubOver(t, newBroker(t, options))
	options.Addresses, options.Timeout = []string{proxy.Addr()}, 300*time.Millisecond
	broker := newBroker(t, options)
	cut := hubOver(t, broker)
	say := func(channels ...string) {
		for _, channel := range channels {
			if r := hub.Publish(t.Context(), []pubsub.Draft{{Channel: channel, Data: []byte("1")}})[0]; r.Err != nil {
				t.Fatal(r.Err)
			}
		}
	}
	empty := listen(t, "an empty channel", "empty", 0, cut)
	used := listen(t, "a channel with a message", "used", 0, cut)
	say("used")
	used.until("a message", func(items []pubsub.Item) bool { return len(items) == 1 })
	proxy.Cut()
	await(t, "the node is cut off", func() bool { return broker.Ready() != nil })
	say("empty", "used")
	await(t, "the logs expire", func() bool { return server.Do("EXISTS", "comet:{empty}:log", "comet:{used}:log") == int64(0) })
	proxy.Heal()
	for _, l := range []*listener{empty, used} {
		l.until("a gap", func(items []pubsub.Item) bool { return len(gaps(items)) == 1 })
	}
	say("empty", "used")
	for _, l := range []*listener{empty, used} {
		l.until("the next message", func(items []pubsub.Item) bool { return items[len(items)-1].Message != nil })
		if told := gaps(l.items); len(told) != 1 || told[0].Reason != pubsub.Restarted {
			t.Errorf("%s: told %v, want restarted", l.name, told)
		}
	}
}

// hubOver is a hub over b; both are closed at the end of the test.
func hubOver(t *testing.T, b pubsub.Broker) *pubsub.Hub {
	hub := pubsub.NewHub(b, pubsub.Options{Sweep: time.Hour, Timeout: patience, Linger: 10 * time.Millisecond})
	t.Cleanup(func() {
		hub.Close()
		if err := b.Close(); err != nil {
			t.Errorf("close broker: %v", err)
		}
	})
	return hub
}
