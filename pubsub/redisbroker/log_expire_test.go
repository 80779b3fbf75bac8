package redisbroker_test

import (
	"testing"
	"time"

	"comet/pubsub"
	"comet/pubsub/redistest"
)

// A node is cut off for longer than a log is kept, and a message comes and expires
// meanwhile. The node's subscribers get a gap, whether the channel was empty or not.
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
		if reported := gaps(l.items); len(reported) != 1 || reported[0].Reason != pubsub.Restarted {
			t.Errorf("%s: got %v, want restarted", l.name, reported)
		}
	}
}

// The log of a channel with a short TTL expires while clients are away. Those that had
// everything get no gap, however long they were away; the others do.
func TestExpiredWhileAway(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	options := at(server.Addr())
	options.Size, options.TTL, options.Timeout = 100, time.Second, timeout
	broker := newBroker(t, options)
	hub := hubOver(t, broker)
	publish := func() {
		if r := hub.Publish(t.Context(), []pubsub.Draft{{Channel: "c", Data: []byte("1")}})[0]; r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	end := func() pubsub.Cursor {
		return broker.Read(t.Context(), []pubsub.Query{{Channel: "c"}})[0].EndCursor()
	}
	expire := func() {
		await(t, "the log expires", func() bool { return server.Do("EXISTS", "comet:{c}:log") == int64(0) })
	}
	before := end()
	await(t, "the clock goes on", func() bool { return end().ID.MS > before.ID.MS })
	publish()
	had := end()
	expire()
	after := end()
	await(t, "more than the TTL passes", func() bool { return end().ID.MS > after.ID.MS+2000 })
	check := func(when string) {
		for name, c := range map[string]struct {
			at   pubsub.Cursor
			gaps int
		}{"seen empty before": {before, 1}, "had the message": {had, 0}, "seen empty afterwards": {after, 0}} {
			l := listenFrom(t, name, "c", c.at, 0, hubOver(t, newBroker(t, options)))
			if c.gaps > 0 || when == "after the next message" {
				l.until("what comes", func(items []pubsub.Item) bool { return len(items) > 0 && (c.gaps == 0 || len(gaps(items)) > 0) })
			}
			if got := gaps(l.items); len(got) != c.gaps || c.gaps == 1 && got[0].Reason != pubsub.Restarted {
				t.Errorf("%s, %s: gaps %v, want %d", when, name, got, c.gaps)
			}
		}
	}
	check("while it is empty")
	publish()
	check("after the next message")
}

// A message comes to an empty channel and is removed with all data. Clients that were
// away get a gap, before and after the next message. Others that saw the channel empty
// afterwards do not.
func TestFlushedFromEmpty(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	options := at(server.Addr())
	options.Size, options.TTL, options.Timeout = 100, time.Hour, timeout
	a, b := hubOver(t, newBroker(t, options)), hubOver(t, newBroker(t, options))
	empty := func() pubsub.Cursor {
		sub, err := a.Subscribe(t.Context(), []pubsub.Start{{Channel: "c", From: pubsub.From{Earliest: true}}})
		if err != nil {
			t.Fatal(err)
		}
		defer sub.Close()
		return sub.StartCursors()[0]
	}
	publish := func() {
		if r := b.Publish(t.Context(), []pubsub.Draft{{Channel: "c", Data: []byte("1")}})[0]; r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	before := empty()
	await(t, "the clock goes on", func() bool { return time.Now().UnixMilli() > int64(before.ID.MS)+5 })
	publish()
	server.Do("FLUSHALL")
	early := listenFrom(t, "resumed before the next message", "c", before, 0, b)
	early.until("a gap", func(items []pubsub.Item) bool { return len(gaps(items)) == 1 })
	after := empty()
	publish()
	for name, c := range map[string]struct {
		at       pubsub.Cursor
		reported int
	}{"resumed after it": {before, 1}, "saw the channel empty afterwards": {after, 0}} {
		l := listenFrom(t, name, "c", c.at, 0, b)
		l.until("the message", func(items []pubsub.Item) bool { return len(items) > 0 && items[len(items)-1].Message != nil })
		if reported := gaps(l.items); len(reported) != c.reported || c.reported == 1 && reported[0].Reason != pubsub.Restarted {
			t.Errorf("%s: got %v, want %d", name, reported, c.reported)
		}
	}
}

// hubOver returns a hub over b. Both are closed at the end of the test.
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
