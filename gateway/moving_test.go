package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"

	"comet/client"
	"comet/gateway/wire"
	"comet/pubsub"
)

const (
	movingMessages = 1000
	movingMoves    = 10
	movingAhead    = 80 // messages that the publisher may be ahead of the last client: less than between two moves
)

// Two nodes, a stream and a long-poll on each. While 1,000 numbered messages
// are published to both in turn, each client loses its connection ten times and
// comes back to the other node. It ends with exactly the 1,000, in order.
func TestMovingClients(t *testing.T) {
	t.Parallel()
	testMoving(t, func(*cluster, int) {})
}

// The same while the nodes lose their own connections all the time.
func TestMovingClientsRelayCut(t *testing.T) {
	t.Parallel()
	testMoving(t, func(c *cluster, published int) {
		if published%200 == 100 {
			c.redis.KillPubSub()
		}
	})
}

func testMoving(t *testing.T, disturb func(c *cluster, published int)) {
	c := overRedis(t, setup{})
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	var clients []*mover
	var running sync.WaitGroup
	for _, poll := range []bool{false, true} {
		for i := range c.nodes {
			m := newMover(t, c.nodes[i], c.nodes[1-i], poll)
			clients = append(clients, m)
			running.Go(func() { m.run(ctx) })
		}
	}
	defer running.Wait()
	for _, m := range clients {
		m.await(ctx, 0)
	}
	var publishers []*client.Client
	for _, n := range c.nodes {
		publishers = append(publishers, newClient(t, c.http.Transport, n))
	}
	for i := range movingMessages {
		for _, m := range clients {
			m.await(ctx, i-movingAhead) // so that the clients move meanwhile, not afterwards
		}
		if _, err := publishers[i%2].Publish(ctx, pubsub.Draft{Channel: "c", Data: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
		disturb(c, i)
	}
	running.Wait()
	for _, m := range clients {
		if m.err != nil || !slices.Equal(m.got, numbers(movingMessages)) {
			t.Errorf("%s: %v, got %d messages: %q", m.name, m.err, len(m.got), m.got)
		}
		if moves := m.cable.moves(); moves < movingMoves {
			t.Errorf("%s: moved %d times only", m.name, moves)
		}
	}
}

// numbers are 0 to n-1.
func numbers(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprint(i))
	}
	return all
}

func newClient(t testing.TB, transport http.RoundTripper, nodes ...*node) *client.Client {
	t.Helper()
	var urls []string
	for _, n := range nodes {
		urls = append(urls, n.url)
	}
	c, err := client.New(client.Options{URLs: urls, HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// mover is a subscriber that keeps losing its connection.
type mover struct {
	name   string
	cable  *cable
	client *client.Client
	poll   bool

	progress chan int // how many messages came; closed by run at its end
	had      int      // the newest progress that await saw; -1: none

	// Written by run, read after its end.
	got []string
	err error
}

func newMover(t *testing.T, first, second *node, poll bool) *mover {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	m := &mover{
		name:     fmt.Sprintf("from %s, poll %v", first.url, poll),
		cable:    &cable{transport: transport, left: -1},
		poll:     poll,
		progress: make(chan int, movingMessages+1),
		had:      -1,
	}
	m.client = newClient(t, m.cable, first, second)
	return m
}

// run subscribes until all messages came, and cuts the cable at even steps.
func (m *mover) run(ctx context.Context) {
	defer close(m.progress)
	begun := false
	o := client.SubscribeOptions{Channels: []string{"c"}, Poll: m.poll}
	for e, err := range m.client.Subscribe(ctx, o) {
		switch {
		case err != nil:
			m.err = err
			return
		case e.Kind == wire.KindGap:
			m.err = fmt.Errorf("gap %+v", *e.Gap)
			return
		case e.Kind == wire.KindReady && !begun:
			begun = true
			m.progress <- 0
		case e.Kind == wire.KindMessage:
			m.got = append(m.got, string(e.Message.Data))
			m.progress <- len(m.got)
			if len(m.got)%(movingMessages/(movingMoves+1)) == 0 {
				m.cable.cut()
			}
			if len(m.got) >= movingMessages {
				return
			}
		}
	}
}

// await waits until n messages came, or none will any more; 0 is when the
// subscription is there.
func (m *mover) await(ctx context.Context, n int) {
	for m.had < n {
		select {
		case had, open := <-m.progress:
			if !open {
				return
			}
			m.had = had
		case <-ctx.Done():
			return
		}
	}
}

var errCut = errors.New("the cable was cut")

// cable is a client's only way to the nodes. Only the client's own goroutine
// uses it.
type cable struct {
	transport *http.Transport
	left      int // bytes of answers until the cut; negative: none is due
	hosts     []string
}

// cut breaks the connection somewhere in what is received next.
func (c *cable) cut() { c.left = rand.IntN(300) }

// moves is how often a request went to another node than the one before it.
func (c *cable) moves() int { return len(slices.Compact(slices.Clone(c.hosts))) - 1 }

// RoundTrip implements http.RoundTripper.
func (c *cable) RoundTrip(r *http.Request) (*http.Response, error) {
	c.hosts = append(c.hosts, r.URL.Host)
	res, err := c.transport.RoundTrip(r)
	if err == nil {
		res.Body = &cableBody{res.Body, c}
	}
	return res, err
}

type cableBody struct {
	io.ReadCloser
	cable *cable
}

func (b *cableBody) Read(p []byte) (int, error) {
	if b.cable.left == 0 {
		b.cable.left = -1
		b.Close() // unread, so the connection goes too
		return 0, errCut
	}
	if b.cable.left > 0 {
		p = p[:min(len(p), b.cable.left)]
	}
	n, err := b.ReadCloser.Read(p)
	if b.cable.left > 0 {
		b.cable.left -= n
	}
	return n, err
}
