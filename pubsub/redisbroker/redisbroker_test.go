package redisbroker_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"comet/pubsub"
	"comet/pubsub/pubsubtest"
	"comet/pubsub/redisbroker"
	"comet/pubsub/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBroker(t *testing.T) {
	pubsubtest.Run(t, func(t *testing.T, o pubsubtest.Options) *pubsubtest.Cluster {
		server := redistest.Start(t, redistest.Persist)
		return &pubsubtest.Cluster{
			Node:     func() pubsub.Broker { return newBroker(t, server, o) },
			CutRelay: func() { server.KillPubSub() },
			Wipe:     func() { server.Do("FLUSHALL") },
			Restart: func(empty bool) {
				if empty {
					server.Do("FLUSHALL")
				}
				server.Stop()
				server.Restart()
			},
			Stop:  server.Stop,
			Start: server.Restart,
		}
	})
}

func newBroker(t *testing.T, server *redistest.Server, o pubsubtest.Options) *redisbroker.Broker {
	t.Helper()
	b, err := redisbroker.New(redisbroker.Options{
		Addresses: []string{server.Addr()},
		Timeout:   2 * time.Second,
		Size:      o.Size,
		TTL:       o.TTL,
		KeyWindow: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}
