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
	"time"

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

// While Redis is away publishing says so and streams stay; when it is back
// they go on. It comes back with another epoch, which a gap reports.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	c := overRedis(t, setup{timeout: 5 * time.Second})
	var streams []*stream
	for _, n := range c.nodes {
		s := c.openAt(n, "channel=c")
		s.want("ready")
		streams = append(streams, s)
	}
	c.publish("c", "1")
	for _, s := range streams {
		s.want("1")
	}
	c.redis.Stop()
	away := want{503, "unavailable", "nothing was published"}
	wantProblem(t, "publish", c.send(post(publishTo, "2")), away)
	wantProblem(t, "history", c.send(get(publishTo)), want{503, "unavailable", "broker"})
	results := c.batch(asLines, `{"channel":"c","data":2}`)
	if e := results[0].Error; e == nil || e.Type != "urn:comet:problem:unavailable" {
		t.Errorf("batch: %+v", results)
	}
	c.redis.Restart()
	c.persist("c", "3", "k-3")
	for _, s := range streams {
		s.want("gap failover", "3")
	}
}

// persist publishes until it is accepted: Redis is away, or just back.
func (c *cluster) persist(channel, data, key string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		a := c.send(post(channelPath(channel), data, "Idempotency-Key", key))
		if a.status == http.StatusCreated {
			return decode[receipt](c.t, a.body).ID
		}
		if a.status != http.StatusServiceUnavailable || ctx.Err() != nil {
			c.t.Fatalf("publish: %d %s", a.status, a.body)
		}
	}
}

// A Redis that answers nothing leaves open whether it took the message, and
// repeating with the key settles it.
func TestRedisFrozen(t *testing.T) {
	t.Parallel()
	const timeout = time.Second
	c := overRedis(t, setup{timeout: timeout})
	s := c.open("channel=c")
	s.want("ready")
	c.publish("c", "1")
	s.want("1")
	c.redis.Freeze()
	try := post(publishTo, "2", "Idempotency-Key", "k")
	start := time.Now()
	wantProblem(t, "publish", c.sendTo(c.nodes[0], try), want{503, "outcome-unknown", "Idempotency-Key"})
	if took := time.Since(start); took < timeout/2 {
		t.Errorf("answered after %v, want %v at least", took, timeout/2)
	}
	c.redis.Thaw()
	c.persist("c", "2", "k")
	c.persist("c", "3", "k-3")
	s.want("2", "3")
	if h := c.history("c", ""); len(h.Messages) != 3 {
		t.Errorf("history %q", datas(h.Messages))
	}
}

// A node that leaves closes its streams and polls and accepts none; the others go on.
func TestLeave(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		leaving := c.nodes[0]
		streams := []*stream{
			c.openAt(leaving, "channel=c"),
			c.openAt(leaving, "channel=c&channel=d&format=raw"),
			c.openAt(leaving, "channel=c", "Accept", asLines),
		}
		for _, s := range streams {
			s.want("ready")
		}
		leaving.gateway.Drain(0)
		for _, s := range streams {
			bye := s.next()
			if tell(bye) != "bye shutdown" || bye.Retry <= 0 {
				t.Errorf("got %s, retry %v", tell(bye), bye.Retry)
			}
			s.wantEnd()
		}
		for _, target := range []string{"/v1/events?channel=c", "/v1/poll?channel=c"} {
			wantProblem(t, target, c.sendTo(leaving, get(target)), want{503, "unavailable", "shutting down"})
		}
		if len(c.nodes) == 1 {
			return
		}
		c.publish("c", "1")
		c.openAt(c.nodes[1], "channel=c&cursor="+streams[0].cursor).want("ready", "1")
	})
}

// explosive is a broker with a bug.
type explosive struct{ pubsub.Broker }

func (b explosive) Publish(ctx context.Context, drafts []pubsub.Draft) []pubsub.Receipt {
	if drafts[0].Channel == "boom" {
		panic("boom")
	}
	return b.Broker.Publish(ctx, drafts)
}

// A panic ends the request that caused it and harms no other.
func TestPanic(t *testing.T) {
	s := setup{wrap: func(b pubsub.Broker) pubsub.Broker { return explosive{b} }}
	overEach(t, s, func(t *testing.T, c *cluster) {
		live := c.open("channel=c&channel=boom")
		live.want("ready")
		for _, n := range c.nodes {
			res, err := c.begin(t.Context(), n, post("/v1/channels/boom/messages", "1"))
			if err == nil {
				res.Body.Close()
				t.Errorf("got an answer: %s", res.Status)
			}
			c.publish("c", "1")
			live.want("1")
		}
	})
}
