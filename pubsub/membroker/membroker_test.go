package membroker_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"comet/pubsub"
	"comet/pubsub/membroker"
	"comet/pubsub/pubsubtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBroker(t *testing.T) {
	pubsubtest.Run(t, func(t *testing.T, o pubsubtest.Options) *pubsubtest.Cluster {
		c := membroker.New(membroker.Options{Size: o.Size, TTL: o.TTL, Retention: o.Retention, Index: o.Index, KeyWindow: time.Minute})
		return &pubsubtest.Cluster{Node: func() pubsub.Broker { return c.Node() }}
	})
}
