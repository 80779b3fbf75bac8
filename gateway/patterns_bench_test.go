package gateway_test

import (
	"bytes"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"comet/pubsub"
)

// BenchmarkPattern publishes 1,000 messages per second to 10,000 channels, which 1,000
// streams follow by a pattern, through two nodes and a Redis on the same machine. late is
// how long after the last publish the last stream has all; held is what an idle stream
// holds in the heap, with the client's end and its goroutine.
func BenchmarkPattern(b *testing.B) {
	const channels, perSecond, streams = 10_000, 1_000, 1_000
	for _, logs := range []int{1, 16} {
		b.Run(fmt.Sprintf("index=%d", logs), func(b *testing.B) {
			c := overRedis(b, setup{index: []pubsub.IndexRule{{Match: "orders/**", Logs: logs}}})
			var got atomic.Int64
			for i := range streams {
				followRaw(b, c.nodes[i%2], "channel=orders/*", &got)
			}
			total := 0
			b.ResetTimer()
			for b.Loop() { // a second each
				began := time.Now()
				for n := 0; n < perSecond; n += 20 {
					drafts := make([]pubsub.Draft, 20)
					for i := range drafts {
						drafts[i] = pubsub.Draft{Channel: fmt.Sprintf("orders/%d", (total*7919)%channels), Data: []byte(`{"state":"paid","amount":1200}`)}
						total++
					}
					for _, r := range c.nodes[n/20%2].hub.Publish(b.Context(), drafts) {
						if r.Err != nil {
							b.Fatal(r.Err)
						}
					}
					time.Sleep(time.Until(began.Add(time.Duration(n+20) * time.Second / perSecond)))
				}
			}
			published := time.Now()
			for got.Load() < int64(total*streams) {
				if time.Since(published) > patience {
					b.Fatalf("%d of %d deliveries", got.Load(), total*streams)
				}
				time.Sleep(time.Millisecond)
			}
			b.ReportMetric(float64(time.Since(published).Milliseconds()), "late-ms")
			b.ReportMetric(float64(total*streams)/b.Elapsed().Seconds(), "deliveries/s")
		})
	}
}

// BenchmarkPatternIdle measures what idle streams of a pattern, and of a channel, hold.
func BenchmarkPatternIdle(b *testing.B) {
	for name, query := range map[string]string{"pattern": "channel=orders/*", "channel": "channel=orders/1"} {
		b.Run(name, func(b *testing.B) {
			c := overMemory(b, setup{index: []pubsub.IndexRule{{Match: "orders/**", Logs: 16}}})
			var got atomic.Int64
			followRaw(b, c.nodes[0], query, &got)
			heap := func() float64 {
				runtime.GC()
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				return float64(m.HeapAlloc + m.StackInuse)
			}
			before, n := heap(), 0
			for b.Loop() {
				followRaw(b, c.nodes[0], query, &got)
				n++
			}
			b.ReportMetric((heap()-before)/float64(n), "B/stream")
		})
	}
}

// followRaw opens a stream and counts its messages, without decoding them.
func followRaw(b *testing.B, n *node, query string, got *atomic.Int64) {
	b.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	if _, err := fmt.Fprintf(c, "GET /v1/events?%s HTTP/1.1\r\nHost: h\r\n\r\n", query); err != nil {
		b.Fatal(err)
	}
	ready := make(chan struct{})
	go func() {
		read, mark := make([]byte, 64<<10), []byte(`"time":"`)
		kept, begun := 0, false
		for {
			k, err := c.Read(read[kept:])
			if err != nil {
				return
			}
			text := read[:kept+k]
			if !begun && bytes.Contains(text, []byte("comet.ready")) {
				begun = true
				close(ready)
				read = append([]byte(nil), read[:512]...) // small while it is idle
			}
			got.Add(int64(bytes.Count(text, mark)))
			if len(read) < 1024 && len(text) == len(read) {
				read = append(read, make([]byte, 63<<10)...)
			}
			kept = copy(read, text[max(0, len(text)-len(mark)+1):])
		}
	}()
	<-ready
}
