package redisbroker

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"comet/pubsub"
	"comet/pubsub/redistest"
)

// publishers is how many publish at the same time.
const publishers = 64

// BenchmarkPublish publishes 100-byte messages through Redis, and for
// comparison calls the same script with a bare go-redis client.
func BenchmarkPublish(b *testing.B) {
	server := redistest.Start(b)
	broker, err := New(Options{Addresses: []string{server.Addr()}, Size: 1000, TTL: time.Hour, KeyWindow: time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := broker.Close(); err != nil {
			b.Error(err)
		}
	})
	draft := pubsub.Draft{Channel: "c", Type: pubsub.DefaultType, Data: []byte(`"` + strings.Repeat("x", 98) + `"`)}

	b.Run("broker", func(b *testing.B) {
		inParallel(b, func() error { return broker.Publish(b.Context(), []pubsub.Draft{draft})[0].Err })
	})
	b.Run("go-redis", func(b *testing.B) {
		client := redis.NewClient(&redis.Options{Addr: server.Addr()})
		b.Cleanup(func() {
			if err := client.Close(); err != nil {
				b.Error(err)
			}
		})
		shared, err := client.AutoPipeline()
		if err != nil {
			b.Fatal(err)
		}
		keys, args := broker.publishArgs(&draft)
		inParallel(b, func() error { return shared.EvalSha(b.Context(), publishScript.Hash(), keys, args...).Err() })
	})
}

func inParallel(b *testing.B, publish func() error) {
	if err := publish(); err != nil { // also loads the script
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetParallelism(publishers / 2) // of each core; GOMAXPROCS is 2 where it was measured
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := publish(); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "publishes/s")
}
