package redisbroker

import (
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"comet/pubsub"
	"comet/pubsub/redistest"
)

// publishers is the number of concurrent publishers.
const publishers = 512

// BenchmarkPublish publishes 100-byte messages to many channels, through one
// Redis and through a Redis Cluster of three primaries, and for comparison calls
// the same script with a bare go-redis client.
func BenchmarkPublish(b *testing.B) {
	server := redistest.Start(b)
	b.Run("broker", func(b *testing.B) {
		publishThrough(b, Options{Addresses: []string{server.Addr()}}, server)
	})
	b.Run("cluster", func(b *testing.B) {
		cluster := redistest.StartCluster(b, 3, 0)
		b.ResetTimer()
		publishThrough(b, Options{Addresses: cluster.Addresses()}, cluster.Nodes()...)
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
		broker := newBenchBroker(b, Options{Addresses: []string{server.Addr()}})
		_, keys, args := broker.publishArgs([]pubsub.Draft{benchDraft(0)})
		inParallel(b, func(int) error { return shared.EvalSha(b.Context(), publishScript.Hash(), keys, args...).Err() })
	})
}

// BenchmarkPublishBatch publishes batches of 100 messages, to one channel, to 100,
// and with idempotency keys.
func BenchmarkPublishBatch(b *testing.B) {
	server := redistest.Start(b)
	const size = 100
	for name, draft := range map[string]func(i int) pubsub.Draft{
		"one": func(int) pubsub.Draft { return benchDraft(0) },
		"many": func(i int) pubsub.Draft {
			d := benchDraft(0)
			d.Channel = strconv.Itoa(i % size)
			return d
		},
		"keys": func(i int) pubsub.Draft {
			d := benchDraft(i)
			d.Key = strconv.Itoa(i)
			return d
		},
	} {
		b.Run(name, func(b *testing.B) {
			broker := newBenchBroker(b, Options{Addresses: []string{server.Addr()}})
			before, n := cpuSeconds(b, []*redistest.Server{server}), 0
			for b.Loop() {
				drafts := make([]pubsub.Draft, size)
				for i := range drafts {
					drafts[i] = draft(n)
					n++
				}
				for _, r := range broker.Publish(b.Context(), drafts) {
					if r.Err != nil {
						b.Fatal(r.Err)
					}
				}
			}
			used := cpuSeconds(b, []*redistest.Server{server}) - before
			b.ReportMetric(used*1e6/float64(n), "redis-us/message")
		})
	}
}

func publishThrough(b *testing.B, o Options, servers ...*redistest.Server) {
	broker := newBenchBroker(b, o)
	before := cpuSeconds(b, servers)
	defer func() {
		b.ReportMetric((cpuSeconds(b, servers)-before)/b.Elapsed().Seconds(), "redis-cores")
	}()
	inParallel(b, func(i int) error { return broker.Publish(b.Context(), []pubsub.Draft{benchDraft(i)})[0].Err })
}

// cpuSeconds returns the CPU time that the servers have used. It shows whether they or
// this process are the bottleneck.
func cpuSeconds(b *testing.B, servers []*redistest.Server) (sum float64) {
	for _, server := range servers {
		for line := range strings.Lines(server.Do("INFO", "cpu").(string)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			if name != "used_cpu_user" && name != "used_cpu_sys" {
				continue
			}
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				b.Fatal(err)
			}
			sum += n
		}
	}
	return sum
}

func newBenchBroker(b *testing.B, o Options) *Broker {
	o.Size, o.TTL, o.KeyWindow = 1000, time.Hour, time.Minute
	broker, err := New(o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := broker.Close(); err != nil {
			b.Error(err)
		}
	})
	return broker
}

var benchData = []byte(`"` + strings.Repeat("x", 98) + `"`)

func benchDraft(i int) pubsub.Draft {
	return pubsub.Draft{Channel: strconv.Itoa(i % 64), Type: pubsub.DefaultType, Data: benchData}
}

func inParallel(b *testing.B, publish func(i int) error) {
	if err := publish(0); err != nil { // also loads the script
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetParallelism(publishers / 2) // of each core; GOMAXPROCS is 2 where it was measured
	var number atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := publish(int(number.Add(1))); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "publishes/s")
}
