package gateway_test

import (
	"net/http"
	"testing"

	"comet/pubsub"
)

// One publish over HTTP, by many clients at a time.
func BenchmarkPublishHTTP(b *testing.B) {
	for name, start := range map[string]func(testing.TB, setup) *cluster{"memory": overMemory, "redis": overRedis} {
		b.Run(name, func(b *testing.B) {
			c := start(b, setup{})
			transport := &http.Transport{MaxIdleConnsPerHost: 64}
			b.Cleanup(transport.CloseIdleConnections)
			publisher := newClient(b, transport, c.nodes[0])
			b.SetParallelism(16)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := publisher.Publish(b.Context(), pubsub.Draft{Channel: "c", Data: []byte(`{"hello":"world"}`)}); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
