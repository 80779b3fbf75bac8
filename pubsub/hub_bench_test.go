package pubsub_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"comet/pubsub"
	"comet/pubsub/membroker"
)

// BenchmarkFanOut publishes one message per iteration to the subscribers of one
// tail, and waits until the last one has it.
func BenchmarkFanOut(b *testing.B) {
	for _, subscribers := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("subscribers=%d", subscribers), func(b *testing.B) { fanOut(b, subscribers) })
	}
}

func fanOut(b *testing.B, subscribers int) {
	broker := membroker.New(membroker.Options{Size: 1000, TTL: time.Hour, KeyWindow: time.Minute}).Node()
	hub := pubsub.NewHub(broker, pubsub.Options{})
	var all, got sync.WaitGroup
	for range subscribers {
		s, err := hub.Subscribe(b.Context(), []pubsub.Start{{Channel: "c"}})
		if err != nil {
			b.Fatal(err)
		}
		all.Go(func() {
			defer s.Close()
			for {
				items, err := s.Next(b.Context(), 100)
				if err != nil {
					return
				}
				for range items {
					got.Done()
				}
			}
		})
	}
	draft := []pubsub.Draft{{Channel: "c", Data: make([]byte, 100)}}
	b.ReportAllocs()
	for b.Loop() {
		got.Add(subscribers)
		if r := hub.Publish(b.Context(), draft)[0]; r.Err != nil {
			b.Fatal(r.Err)
		}
		got.Wait()
	}
	b.ReportMetric(float64(b.N*subscribers)/b.Elapsed().Seconds(), "deliveries/s")
	hub.Close()
	all.Wait()
	if err := broker.Close(); err != nil {
		b.Fatal(err)
	}
}
