package redisbroker_test

import (
	"errors"
	"testing"

	"comet/pubsub"
	"comet/pubsub/redistest"
)

// A replica answers nobody: what it has may be old, or not be there yet.
func TestReplicaIsNotRead(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.TCP)
	b := newBroker(t, at(redistest.Replica(t, server).Addr()))
	defer b.Close()
	if err := b.Read(t.Context(), []pubsub.Query{{Channel: "a"}})[0].Err; !errors.Is(err, pubsub.ErrUnavailable) {
		t.Errorf("read: %v, want ErrUnavailable", err)
	}
	if err := b.Publish(t.Context(), []pubsub.Draft{{Channel: "a", Type: "message", Data: []byte("1")}})[0].Err; !errors.Is(err, pubsub.ErrUnavailable) {
		t.Errorf("publish: %v, want ErrUnavailable", err)
	}
}
