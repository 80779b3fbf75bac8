package redisbroker_test

import (
	"testing"

	"comet/pubsub"
	"comet/pubsub/redistest"
)

// Two installations share one Redis and a prefix, in different databases. Messages of
// one, kept or ephemeral, never reach subscribers of the other.
func TestDatabasesAreApart(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	zero, one := at(server.Addr()), at(server.Addr())
	one.DB = 1
	production, staging := newHarness(t, zero), newHarness(t, one)
	production.listenFixed("a")
	staging.listenFixed("a")
	ephemeral := []pubsub.Draft{{Channel: "a", Data: []byte("1"), Ephemeral: true}}
	if r := staging.nodes[0].Publish(t.Context(), ephemeral)[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
	staging.say("a")
	staging.awaitReceived()
	production.say("a") // after all of the others on the same server
	production.awaitReceived()
	for _, l := range production.listeners {
		if len(l.items) != 1 {
			t.Errorf("%s: got %d items, want its own message alone", l.name, len(l.items))
		}
	}
	production.verify()
}
