package redisbroker_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"comet/pubsub"
	"comet/pubsub/redistest"
)

// resyncChannels is the number of channels of the node in BenchmarkResync.
const resyncChannels = 15_000

// BenchmarkResync cuts the relay of a node with many open channels, each with a
// message, and waits until all are subscribed and read again. No message is lost.
func BenchmarkResync(b *testing.B) {
	server := redistest.Start(b)
	options := at(server.Addr())
	options.Size, options.TTL, options.KeyWindow = 100, time.Hour, time.Minute
	broker := newBroker(b, options)
	count := &countingReads{Broker: broker}
	hub := pubsub.NewHub(count, pubsub.Options{})
	b.Cleanup(func() {
		hub.Close()
		if err := broker.Close(); err != nil {
			b.Error(err)
		}
	})
	drafts := make([]pubsub.Draft, resyncChannels)
	for i := range drafts {
		drafts[i] = pubsub.Draft{Channel: fmt.Sprint("c", i), Data: []byte("1")}
	}
	for _, r := range hub.Publish(b.Context(), drafts) {
		if r.Err != nil {
			b.Fatal(r.Err)
		}
	}
	for _, d := range drafts {
		sub, err := hub.Subscribe(b.Context(), []pubsub.Start{{Channel: d.Channel}})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(sub.Close)
	}
	sent := bytesSent(b, server)
	for b.Loop() {
		done := count.expect(resyncChannels)
		server.KillPubSub()
		select {
		case <-done:
		case <-time.After(patience):
			b.Fatal("not all were read again")
		}
	}
	b.ReportMetric(float64(bytesSent(b, server)-sent)/float64(b.N)/1e6, "MB/resync")
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/resync")
}

// bytesSent returns the number of bytes that the server sent to clients.
func bytesSent(b *testing.B, server *redistest.Server) int {
	for line := range strings.Lines(server.Do("INFO", "stats").(string)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "total_net_output_bytes:"); ok {
			n, err := strconv.Atoi(value)
			if err != nil {
				b.Fatal(err)
			}
			return n
		}
	}
	b.Fatal("INFO has no total_net_output_bytes")
	return 0
}

// countingReads is a broker that signals when a number of logs has been read.
type countingReads struct {
	pubsub.Broker

	mu   sync.Mutex
	left int
	done chan struct{}
}

func (s *countingReads) expect(n int) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left, s.done = n, make(chan struct{})
	return s.done
}

// Read implements pubsub.Broker.
func (s *countingReads) Read(ctx context.Context, queries []pubsub.Query) []pubsub.Page {
	pages := s.Broker.Read(ctx, queries)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range pages {
		if p.Err == nil && s.left > 0 {
			if s.left--; s.left == 0 {
				close(s.done)
			}
		}
	}
	return pages
}
