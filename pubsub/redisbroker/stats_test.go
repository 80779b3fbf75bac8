package redisbroker_test

import (
	"testing"
	"time"

	"comet/pubsub"
	"comet/pubsub/redisbroker"
	"comet/pubsub/redistest"
)

// TestStats causes each kind of error that one server can cause.
func TestStats(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	options := redisbroker.Options{Addresses: []string{server.Addr()}, Size: 10, TTL: time.Hour, Timeout: 2 * time.Second}
	b := newBroker(t, options)
	defer b.Close()
	publish := func(b *redisbroker.Broker) {
		b.Publish(t.Context(), []pubsub.Draft{{Channel: "news", Type: "message", Data: []byte("1")}})
	}
	want := func(when string, b *redisbroker.Broker, o redisbroker.Operation, k redisbroker.Kind, n int64) {
		t.Helper()
		for kind, got := range b.Stats().Errors[o] {
			if kind == k && got != n || kind != k && got != 0 && o == redisbroker.ToRead {
				t.Errorf("%s: %d errors of %s are %s, want %d that are %s", when, got, o, kind, n, k)
			}
		}
	}
	read := func() { b.Read(t.Context(), []pubsub.Query{{Channel: "a"}, {Channel: "b"}}) }

	publish(b)
	publish(b)
	read()
	b.UpdateLeases(t.Context(), []pubsub.Lease{hold("a"), hold("b")})
	all := b.Stats()
	for o, kinds := range all.Errors {
		for k, n := range kinds {
			if n != 0 {
				t.Errorf("all is well: %d errors of %s are %s", n, o, k)
			}
		}
	}
	if len(all.Errors) != len(redisbroker.Operations) || len(all.Errors[redisbroker.ToRead]) != len(redisbroker.Kinds) {
		t.Errorf("not all are there: %v", all.Errors)
	}
	if all.Pool.Hits+all.Pool.Misses < 3 || all.Pool.Misses < 1 || all.Pool.Idle < 1 || all.Pool.Timeouts != 0 {
		t.Errorf("the pool: %+v", all.Pool)
	}

	server.Do("CONFIG", "SET", "maxmemory", "1")
	publish(b)
	b.UpdateLeases(t.Context(), []pubsub.Lease{hold("a", "alice"), hold("b", "bob")})
	if _, err := b.Announce(t.Context(), pubsub.NodeReport{Node: "a", Report: []byte("1")}, time.Second); err == nil {
		t.Error("announced without memory")
	}
	want("no memory left", b, redisbroker.ToPublish, redisbroker.RefusedIt, 1)
	want("no memory left", b, redisbroker.ToPresent, redisbroker.RefusedIt, 2)
	want("no memory left", b, redisbroker.ToRegistry, redisbroker.RefusedIt, 1)
	server.Do("CONFIG", "SET", "maxmemory", "0")

	options.MinReplicas = 1
	replicated := newBroker(t, options)
	defer replicated.Close()
	publish(replicated)
	want("no replica", replicated, redisbroker.ToPublish, redisbroker.TooFew, 1)

	server.Freeze()
	read()
	want("frozen", b, redisbroker.ToRead, redisbroker.TimedOut, 2)
	if _, err := b.Members(t.Context(), "a", "", 1); err == nil {
		t.Error("members were read from a frozen server")
	}
	want("frozen", b, redisbroker.ToPresent, redisbroker.TimedOut, 1)
	server.Thaw()
	server.Stop()
	for range 3 { // the first may find that connections have ended
		publish(b)
	}
	if b.Stats().Errors[redisbroker.ToPublish][redisbroker.Unreachable] == 0 {
		t.Errorf("stopped: %v", b.Stats().Errors[redisbroker.ToPublish])
	}
}

// hold returns the first lease of a node, in which users join.
func hold(channel string, users ...string) pubsub.Lease {
	h := pubsub.Lease{Channel: channel, Owner: "0123456789abcdef", TTL: time.Minute, MemberLimit: 1}
	for _, user := range users {
		h.Join = append(h.Join, pubsub.LeaseMember{Member: pubsub.Member{User: user}})
	}
	return h
}

func TestStatsOfTheRelay(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b := newBroker(t, redisbroker.Options{Addresses: []string{server.Addr()}})
	defer b.Close()
	hub := pubsub.NewHub(b, pubsub.Options{})
	defer hub.Close()
	await(t, "the relay works", func() bool { return b.Ready() == nil })
	server.KillPubSub()
	await(t, "the end of a relay connection is counted, once", func() bool {
		return b.Stats().Errors[redisbroker.ToRelay][redisbroker.Broken] == 1
	})
}
