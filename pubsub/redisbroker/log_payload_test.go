package redisbroker_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"comet/pubsub"
	"comet/pubsub/redistest"
)

// Only messages with a trace are larger in the relay and in the log.
func TestTracePayload(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b := at(server.Addr())
	c := newHarness(t, b)
	hub := c.join(b)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	live := client.PSubscribe(ctx, "*")
	defer live.Close()
	if _, err := live.Receive(ctx); err != nil {
		t.Fatal(err)
	}
	for trace, prefix := range map[string]string{"": "", "00-a": "~ 00-a "} {
		receipt := hub.Publish(ctx, []pubsub.Draft{{Channel: "c" + trace, Data: []byte("1"), Trace: trace}})[0]
		if receipt.Err != nil {
			t.Fatal(receipt.Err)
		}
		want := prefix + receipt.ID.String() + " 0-0 message\n1"
		for { // the probes of the relay come this way too
			m, err := live.ReceiveMessage(ctx)
			if err != nil {
				t.Fatalf("%q was not relayed: %v", want, err)
			}
			if m.Payload == want {
				break
			}
		}
	}
}
