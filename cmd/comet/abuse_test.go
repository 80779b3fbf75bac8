package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"comet/gateway/wire"
	"comet/internal/servertest"
	"comet/internal/testenv"
)

// abuse is the size of TestAbuse.
type abuse struct {
	subscribers int           // honest ones
	halves      int           // requests that are half sent, at any time
	flood       int           // publishes per second of one user
	workers     int           // connections of the flood
	every       time.Duration // between publishes of the honest publisher
	phase       time.Duration // of the quiet part and of the part with abuse
}

// TestAbuse checks that honest subscribers lose nothing while other clients hold
// many half-sent requests and a user publishes far over the limit. The log has the
// latency. `make test-all` runs it with the numbers of docs/security.md.
func TestAbuse(t *testing.T) {
	t.Parallel()
	a := abuse{subscribers: 50, halves: 100, flood: 300, workers: 20, every: 50 * time.Millisecond, phase: 2 * time.Second}
	if testenv.All() {
		a = abuse{subscribers: 1000, halves: 2000, flood: 5000, workers: 100, every: 250 * time.Millisecond, phase: 20 * time.Second}
	}
	_, url := startNode(t, servertest.GuardedFlags(t, "--auth-anonymous-subscribe", "honest", "--limits-user-publishes", "100", "--limits-address-connections", strconv.Itoa(a.subscribers+a.halves))...)
	host := strings.TrimPrefix(url, "http://")
	audience := newAudience(t, host, a.subscribers)
	publisher := newRawClient(t, host, servertest.BackendKey)
	sent := 0
	publishFor := func() {
		ticker := time.NewTicker(a.every)
		defer ticker.Stop()
		for end := time.Now().Add(a.phase); time.Now().Before(end); sent++ {
			<-ticker.C
			if status := publisher.publish("honest", fmt.Sprintf(`{"n":%d,"at":%d}`, sent, time.Now().UnixMicro())); status != http.StatusCreated {
				t.Errorf("the honest publisher gets %d", status)
				return
			}
		}
	}
	publishFor()
	quiet := audience.settle(t, sent)

	ctx, stop := context.WithCancel(t.Context())
	began := time.Now()
	var strangers sync.WaitGroup
	var cut atomic.Int64
	for range a.halves {
		strangers.Go(func() { halfSend(ctx, host, &cut) })
	}
	var statuses [600]atomic.Int64
	token := servertest.Token(t, "mallory", 0)
	for range a.workers {
		c := newRawClient(t, host, token)
		strangers.Go(func() {
			ticker := time.NewTicker(time.Second * time.Duration(a.workers) / time.Duration(a.flood))
			defer ticker.Stop()
			for ctx.Err() == nil {
				<-ticker.C
				statuses[c.publish("flood", "1")].Add(1)
			}
		})
	}
	publishFor()
	loaded := audience.settle(t, sent)
	for statuses[http.StatusTooManyRequests].Load() == 0 { // a busy machine has no flood yet
		publishFor()
		loaded = audience.settle(t, sent)
	}
	stop()
	strangers.Wait()
	seconds := int64(time.Since(began)/time.Second) + 1

	created, refused := statuses[http.StatusCreated].Load(), statuses[http.StatusTooManyRequests].Load()
	t.Logf("%d subscribers; quiet: p50 %v, p99 %v; with %d half-sent requests (%d were cut) and %d publishes per second (%d accepted, %d refused): p50 %v, p99 %v",
		a.subscribers, quiet.at(50), quiet.at(99), a.halves, cut.Load(), (created+refused)/seconds, created, refused, loaded.at(50), loaded.at(99))
	if created == 0 || created > 100*(seconds+1) { // the limit allows a burst of one second
		t.Errorf("of the flood %d were accepted in %d s and %d refused", created, seconds, refused)
	}
}

// latencies are sorted.
type latencies []time.Duration

func (l latencies) at(percent int) time.Duration {
	return l[(len(l)-1)*percent/100].Round(10 * time.Microsecond)
}

// audience is the honest subscribers, each with a goroutine that reads.
type audience struct {
	got  []chan time.Duration // each message's latency, in order; closed when one is missing, repeated, or the stream ends
	seen int                  // messages that each had at the last settle
}

func newAudience(t *testing.T, host string, n int) *audience {
	t.Helper()
	a := &audience{}
	for range n {
		c, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, "GET /v1/events?channel=honest HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("got %v, %v", response, err)
		}
		got := make(chan time.Duration, 10_000)
		a.got = append(a.got, got)
		var reading sync.WaitGroup
		reading.Go(func() { hear(wire.NewReader(response.Body, wire.SSE), got) })
		t.Cleanup(func() {
			_ = c.Close()
			reading.Wait()
		})
	}
	return a
}

// hear sends the latency of each message to got, until one is not the next.
func hear(events *wire.Reader, got chan<- time.Duration) {
	defer close(got)
	for next := 0; ; {
		e, err := events.Next()
		if err != nil {
			return
		}
		if e.Kind != wire.KindMessage {
			continue
		}
		var n int
		var at int64
		if _, err := fmt.Sscanf(string(e.Message.Data), `{"n":%d,"at":%d}`, &n, &at); err != nil || n != next {
			return
		}
		next++
		got <- time.Since(time.UnixMicro(at))
	}
}

// settle waits until each subscriber has received sent messages in all, and
// returns the latencies of the new ones.
func (a *audience) settle(t *testing.T, sent int) (l latencies) {
	t.Helper()
	late := time.After(deadline)
	for i, got := range a.got {
		for n := a.seen; n < sent; n++ {
			select {
			case took, ok := <-got:
				if !ok {
					t.Fatalf("subscriber %d lost message %d", i, n)
				}
				l = append(l, took)
			case <-late:
				t.Fatalf("subscriber %d has %d of %d messages", i, n, sent)
			}
		}
	}
	a.seen = sent
	slices.Sort(l)
	return l
}

// rawClient publishes over one connection, with little CPU.
type rawClient struct {
	net.Conn
	r          *bufio.Reader
	credential string
}

func newRawClient(t *testing.T, host, credential string) *rawClient {
	t.Helper()
	c, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &rawClient{c, bufio.NewReader(c), credential}
}

// publish returns the status, or 0 if the connection broke.
func (c *rawClient) publish(channel, data string) (status int) {
	_ = c.SetDeadline(time.Now().Add(deadline))
	fmt.Fprintf(c, "POST /v1/channels/%s/messages HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", channel, c.credential, len(data), data)
	response, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return 0
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return 0
	}
	return response.StatusCode
}

// halfSend holds a request that is half sent, and another whenever one is cut.
func halfSend(ctx context.Context, host string, cut *atomic.Int64) {
	for ctx.Err() == nil {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", host)
		if err != nil {
			return
		}
		done := context.AfterFunc(ctx, func() { _ = c.Close() })
		if _, err := io.WriteString(c, "GET /v1/events?channel=honest HTTP/1.1\r\nHost: h\r\nX-Half: "); err == nil {
			_, _ = io.Copy(io.Discard, c) // until the node closes it
		}
		if done() {
			cut.Add(1)
			_ = c.Close()
		}
	}
}
