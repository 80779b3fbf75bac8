package redisbroker_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"comet/pubsub"
	"comet/pubsub/redistest"
)

// All data is removed under load. Connected clients get everything, and a gap, because
// nothing proves that they did.
func TestFlushAll(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	c := newHarness(t, at(server.Addr()))
	c.listenFixed("busy", "quiet")
	c.say("quiet")
	c.awaitReceived()
	gone := c.log("quiet").End
	c.flood("busy")
	for range 3 {
		c.awaitMore(50)
		server.Do("FLUSHALL")
	}
	c.awaitMore(50)
	c.drain()
	c.say("quiet")
	c.awaitReceived()
	for _, l := range c.listeners {
		reported := gaps(l.items)
		if at := slices.IndexFunc(reported, func(g pubsub.Gap) bool { return g.Reason != pubsub.Restarted }); at >= 0 || len(reported) == 0 || len(reported) > 3 {
			t.Errorf("%s: gaps %v, want a restarted for each flush", l.name, reported)
		}
		if n := len(l.items) - len(reported); l.channel == "busy" && n < c.acceptedSoFar()-2 { // but two on the other
			t.Errorf("%s: got %d of %d", l.name, n, c.acceptedSoFar()-2)
		}
	}
	back := listenFrom(t, "resumed subscriber", "quiet", pubsub.CursorAfter(gone), 0, c.join(at(server.Addr())))
	back.awaitID(c.log("quiet").End)
	back.judge(ids(c.log("quiet")), []pubsub.Reason{pubsub.Restarted})
}

// The scripts are flushed in the middle of pipelined batches, with ephemeral messages
// too: each message is sent once, in order.
func TestScriptFlush(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	c := newHarness(t, at(server.Addr()))
	c.listen("busy", "batches")
	c.flood("busy")
	const batches, size = 60, 20
	for i := range batches {
		if i%2 == 0 {
			server.Do("SCRIPT", "FLUSH")
		}
		drafts := make([]pubsub.Draft, size)
		for j := range drafts {
			drafts[j] = pubsub.Draft{Channel: "batches", Data: fmt.Append(nil, i*size+j)}
		}
		drafts[size/2] = pubsub.Draft{Channel: "ephemeral", Data: []byte("1"), Ephemeral: true}
		for _, r := range c.nodes[i%2].Publish(t.Context(), drafts) {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
		}
	}
	c.drain()
	c.verify()
	log := c.log("batches").Messages
	if len(log) != batches*(size-1) {
		t.Errorf("%d messages, want %d", len(log), batches*(size-1))
	}
	for i, m := range log[1:] {
		if before := log[i]; len(m.Data) == len(before.Data) && bytes.Compare(m.Data, before.Data) <= 0 {
			t.Fatalf("%s came after %s", m.Data, before.Data)
		}
	}
}

// Redis has no memory left and refuses writes. Subscribers stay connected.
func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	c := newHarness(t, at(server.Addr()))
	c.listen("a")
	c.say("a")
	server.Do("CONFIG", "SET", "maxmemory", "1")
	for range 3 {
		if _, err := c.try(c.nodes[0], "a"); !errors.Is(err, pubsub.ErrUnavailable) {
			t.Errorf("publish: %v, want ErrUnavailable", err)
		}
	}
	if err := c.brokers[0].Check(t.Context()); !errors.Is(err, pubsub.ErrUnavailable) {
		t.Errorf("check: %v, want ErrUnavailable", err)
	}
	c.listeners = append(c.listeners, listen(t, "new subscriber", "new", 0, c.nodes[0]))
	server.Do("CONFIG", "SET", "maxmemory", "0")
	c.say("a", "new")
	c.drain()
	c.verify()
}

// Redis evicts logs: the node has warned of it, and reports the loss.
func TestEviction(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Args("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"))
	options := at(server.Addr())
	c := newHarness(t, options)
	var log bytes.Buffer
	options.Logger = slog.New(slog.NewTextHandler(&log, nil))
	b := newBroker(t, options)
	if err := b.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
	if !strings.Contains(log.String(), "maxmemory-policy=allkeys-lru") {
		t.Errorf("not warned of, the log has %q", log.String())
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	c.say("a", "a")
	had := c.log("a").Messages[0].ID
	server.Do("CONFIG", "SET", "maxmemory", "1")
	await(t, "all is evicted", func() bool {
		_, _ = c.try(c.nodes[0], "b") // which is when Redis evicts
		return server.Do("DBSIZE") == int64(0)
	})
	server.Do("CONFIG", "SET", "maxmemory", "0")
	back := listenFrom(t, "resumed subscriber", "a", pubsub.CursorAfter(had), 0, c.nodes[0])
	c.say("a")
	back.awaitID(c.log("a").End)
	back.judge(ids(c.log("a")), []pubsub.Reason{pubsub.Restarted})
}
