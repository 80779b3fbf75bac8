package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"comet/gateway"
	"comet/gateway/limit"
)

// Who comes in at the door sees the same as who came the long way.
func TestDoor(t *testing.T) {
	t.Parallel()
	if *portableFlag {
		t.Skip("without parking there is no door")
	}
	for _, target := range []string{
		"/v1/events?channel=c",
		"/v1/events?channel=c&format=raw",
		"/v1/events?channel=c&channel=d",
		"/v1/events?channel=c&cursor={cursor}",
		"/v1/events?channel=c&cursor=earliest&lastEventId={cursor}",
		"/v1/events?channel=c&last=9&Last-Event-ID={cursor}",
		"/v1/poll?channel=c",
		"/v1/poll?channel=c&channel=d",
		"/v1/poll?channel=c&cursor={cursor}",
	} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			c := overMemory(t, setup{})
			n := c.nodes[0]
			first := knock(t, n, "/v1/events?channel=c&channel=d", "") // opens the channels
			target := strings.ReplaceAll(target, "{cursor}", c.publish("c", `"before"`))
			first.await(t, "before")
			long := knock(t, n, target, "X: a field twice\r\nX: is not for the door\r\n")
			if atDoor := n.atDoor.Load(); atDoor != 0 {
				t.Fatalf("%d came in at the door, want none yet", atDoor)
			}
			short := knock(t, n, target, "X: is for the door\r\n")
			for late := time.Now().Add(patience); n.atDoor.Load() != 1; {
				if time.Now().After(late) {
					t.Fatalf("%d came in at the door, want 1", n.atDoor.Load())
				}
			}
			c.publish("c", `"hello"`)
			want, got := long.read(t), short.read(t)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("at the door:\n%q\nthe long way:\n%q", got, want)
			}
		})
	}
}

// What the door does not take goes the long way, and is answered there.
func TestDoorRefuses(t *testing.T) {
	t.Parallel()
	c := overMemory(t, setup{})
	n := c.nodes[0]
	knock(t, n, "/v1/events?channel=c", "")
	for target, status := range map[string]int{
		"/v1/events":                                http.StatusBadRequest,
		"/v1/events?channel=c&format=x":             http.StatusBadRequest,
		"/v1/events?channel=c&cursor=x":             http.StatusBadRequest,
		"/v1/events?channel=c&lastEventID=x":        http.StatusBadRequest,
		"/v1/poll?channel=c&wait=1h":                http.StatusBadRequest,
		"/v1/poll?channel=c&wait=0":                 http.StatusOK,
		"/v1/channels/c/messages":                   http.StatusOK,
		"/v1/nothing":                               http.StatusNotFound,
		"/v1/poll?channel=c&cursor=earliest&wait=0": http.StatusOK,
	} {
		before := n.atDoor.Load()
		line, err := knock(t, n, target, "").r.ReadString('\n')
		if err != nil || !strings.Contains(line, fmt.Sprint(" ", status, " ")) {
			t.Errorf("%s: %q, %v; want status %d", target, line, err, status)
		}
		if n.atDoor.Load() != before {
			t.Errorf("%s came in at the door", target)
		}
	}
}

// Who resumes behind messages goes the long way, which then counts the request
// alone.
func TestDoorCountsOnce(t *testing.T) {
	t.Parallel()
	limiter := limit.New(limit.Options{AddressRequests: limit.Rate{PerSecond: 0.001, Burst: 4}})
	c := overMemory(t, setup{gateway: gateway.Options{Policy: gateway.Policy{Limiter: limiter}}})
	n := c.nodes[0]
	first := knock(t, n, "/v1/events?channel=c", "")
	cursor := c.publish("c", `"one"`)
	c.publish("c", `"two"`)
	first.await(t, "two")
	knock(t, n, "/v1/events?channel=c&cursor="+cursor, "").await(t, "two")
	if n.atDoor.Load() != 0 {
		t.Error("it came in at the door")
	}
}

// A request that comes in pieces is no less a request.
func TestDoorInPieces(t *testing.T) {
	t.Parallel()
	c := overMemory(t, setup{})
	n := c.nodes[0]
	first := knock(t, n, "/v1/events?channel=c", "")
	request := "GET /v1/events?channel=c HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
	var streams []*visitor
	for cut := 1; cut < len(request); cut += 7 {
		v := dial(t, n)
		v.write(t, request[:cut])
		v.write(t, request[cut:])
		streams = append(streams, v)
	}
	for _, v := range streams {
		v.await(t, "comet.ready")
	}
	c.publish("c", `"hello"`)
	for _, v := range append(streams, first) {
		v.await(t, `"data":"hello"`)
	}
}

// visitor is a connection by hand.
type visitor struct {
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, n *node) *visitor {
	t.Helper()
	c, err := net.Dial("tcp", n.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return &visitor{c, bufio.NewReader(c)}
}

// knock asks for target; of a stream it waits for the beginning, of a poll
// until it is held.
func knock(t *testing.T, n *node, target, header string) *visitor {
	t.Helper()
	v := dial(t, n)
	held := n.gateway.Connections()
	v.write(t, "GET "+target+" HTTP/1.1\r\nHost: h\r\n"+header+"\r\n")
	if strings.HasPrefix(target, "/v1/poll?channel=c") && !strings.Contains(target, "wait") {
		for late := time.Now().Add(patience); n.gateway.Connections() == held; {
			if time.Now().After(late) {
				t.Fatal("the poll is not held")
			}
		}
		return v
	}
	if _, err := v.r.Peek(1); err != nil {
		t.Fatal(err)
	}
	return v
}

func (v *visitor) write(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(v, text); err != nil {
		t.Fatal(err)
	}
}

// await reads lines until one holds text.
func (v *visitor) await(t *testing.T, text string) {
	t.Helper()
	for {
		line, err := v.r.ReadString('\n')
		if err != nil {
			t.Fatalf("waiting for %q: %v", text, err)
		}
		if strings.Contains(line, text) {
			return
		}
	}
}

// read is the answer's lines up to the message, without its date.
func (v *visitor) read(t *testing.T) (lines []string) {
	t.Helper()
	for {
		line, err := v.r.ReadString('\n')
		if err != nil {
			t.Fatalf("%v after %q", err, lines)
		}
		if !strings.HasPrefix(line, "Date: ") {
			lines = append(lines, line)
		}
		if strings.Contains(line, "hello") {
			return lines
		}
	}
}
