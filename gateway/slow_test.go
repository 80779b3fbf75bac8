package gateway_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"comet/gateway/wire"
	"comet/pubsub"
)

// A client that does not read its stream holds up nobody. Once its place has
// left the tail its stream ends with a goodbye, and from its cursor it gets the
// rest on any node.
func TestSlowReader(t *testing.T) {
	s := setup{tail: pubsub.TailLimits{Messages: 8, Bytes: 1 << 20}, sendBuffer: 8 << 10}
	overEach(t, s, func(t *testing.T, c *cluster) {
		slow := openUnread(t, c.nodes[0])
		healthy := c.openAt(c.nodes[len(c.nodes)-1], "channel=c")
		beside := c.openAt(c.nodes[0], "channel=c")
		healthy.want("ready")
		beside.want("ready")
		const total = 60
		padding := strings.Repeat("x", 16<<10) // altogether more than sockets hold
		for i := range total {
			c.publish("c", fmt.Sprintf(`"%d %s"`, i, padding))
			for _, s := range []*stream{healthy, beside} {
				if got := s.next(); !strings.HasPrefix(tell(got), fmt.Sprintf(`"%d `, i)) {
					t.Fatalf("got %.20s, want %d", tell(got), i)
				}
			}
		}
		got, cursor := drain(t, slow)
		if len(got) == total {
			t.Fatal("everything fitted into the sockets: nothing was tested")
		}
		rest := c.openAt(c.nodes[len(c.nodes)-1], "channel=c&cursor="+cursor)
		rest.want("ready")
		for len(got) < total {
			got = append(got, number(rest.next()))
		}
		for i := range got {
			if got[i] != fmt.Sprint(i) {
				t.Fatalf("got %q", got)
			}
		}
	})
}

// openUnread begins a stream on a connection with little room and reads only
// comet.ready.
func openUnread(t *testing.T, n *node) *wire.Reader {
	t.Helper()
	connection, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	if err := connection.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	// HTTP/1.0: the answer has no chunks and ends with the connection.
	fmt.Fprint(connection, "GET /v1/events?channel=c HTTP/1.0\r\n\r\n")
	events := wire.NewReader(connection, wire.SSE)
	if e, err := events.Next(); err != nil || e.Kind != wire.KindReady {
		t.Fatalf("got %s, %v", tell(e), err)
	}
	return events
}

// drain reads to the goodbye and returns which messages came, and the cursor.
func drain(t *testing.T, events *wire.Reader) (got []string, cursor string) {
	t.Helper()
	for {
		e, err := events.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == wire.KindBye {
			if e.Reason != "slow" {
				t.Errorf("bye %s", e.Reason)
			}
			if _, err := events.Next(); !errors.Is(err, io.EOF) {
				t.Errorf("behind bye: %v", err)
			}
			return got, cursor
		}
		got, cursor = append(got, number(e)), e.Cursor
	}
}

// number is what the data of e begins with.
func number(e wire.Event) string {
	before, _, _ := strings.Cut(tell(e), " ")
	return strings.TrimPrefix(before, `"`)
}
