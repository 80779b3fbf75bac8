package gateway_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
)

// BenchmarkConnect opens an event stream and leaves it, by 1,000 users in turn,
// in a channel without presence and in one with it: then each of them joins and
// leaves there too.
func BenchmarkConnect(b *testing.B) {
	for name, start := range map[string]func(testing.TB, setup) *cluster{"memory": overMemory, "redis": overRedis} {
		for channel, what := range map[string]string{"d": "without", "c": "with"} {
			b.Run(name+"/"+what+" presence", func(b *testing.B) {
				c := start(b, present(b))
				n := c.nodes[0]
				requests := make([]string, 1000)
				for i := range requests {
					requests[i] = fmt.Sprintf("GET /v1/events?channel=%s HTTP/1.1\r\nHost: h\r\nAuthorization: %s\r\n\r\n", channel, as(b, fmt.Sprint("user-", i), nil)[1])
				}
				c.openAt(n, channels(channel), bearer(keyText)...).want("ready") // keeps the channel open
				for i := 0; b.Loop(); i++ {
					connectOnce(b, n, requests[i%len(requests)])
				}
			})
		}
	}
}

func connectOnce(b *testing.B, n *node, request string) {
	connection, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
	if err != nil {
		b.Fatal(err)
	}
	defer connection.Close()
	if _, err := connection.Write([]byte(request)); err != nil {
		b.Fatal(err)
	}
	waitFor(b, bufio.NewReader(connection), "comet.ready")
}
