package redisbroker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"comet/pubsub"
	"comet/pubsub/redisbroker"
)

// timeout is the Timeout of brokers, short so that timeouts happen soon.
const timeout = time.Second

// harness is several nodes over one Redis, with publishers and listeners. Some listeners
// stay connected, others resume with their cursor, each time at another node. At the end
// each listener must have had each message once.
type harness struct {
	t         *testing.T
	nodes     []*pubsub.Hub
	brokers   []*redisbroker.Broker
	listeners []*listener

	number   atomic.Int64 // of messages
	mu       sync.Mutex
	accepted map[pubsub.ID]string // channel by ID of acknowledged messages
	stop     context.CancelFunc
	busy     sync.WaitGroup // publishers
}

// newHarness starts a node with each of the options. With one, it starts two nodes.
func newHarness(t *testing.T, options ...redisbroker.Options) *harness {
	t.Helper()
	if len(options) == 1 {
		options = append(options, options[0])
	}
	c := &harness{t: t, accepted: make(map[pubsub.ID]string), stop: func() {}}
	for _, o := range options {
		c.join(o)
	}
	return c
}

// join starts one more node.
func (c *harness) join(options redisbroker.Options) *pubsub.Hub {
	c.t.Helper()
	if options.Timeout == 0 {
		options.Timeout = timeout
	}
	options.Size, options.TTL, options.KeyWindow = 100_000, time.Hour, time.Minute
	options.Logger = slog.New(slog.NewTextHandler(c.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", len(c.nodes))
	b := newBroker(c.t, options)
	hub := pubsub.NewHub(b, pubsub.Options{
		Sweep:   time.Hour, // so that no test depends on it
		Timeout: patience,
		Linger:  10 * time.Millisecond,
		Logger:  options.Logger,
	})
	c.t.Cleanup(func() {
		hub.Close()
		if err := b.Close(); err != nil {
			c.t.Errorf("close broker: %v", err)
		}
	})
	c.nodes, c.brokers = append(c.nodes, hub), append(c.brokers, b)
	return hub
}

// listen starts listeners of each channel: one that stays at each node, and one that
// moves from node to node.
func (c *harness) listen(channels ...string) {
	c.t.Helper()
	c.listenFixed(channels...)
	for _, channel := range channels {
		c.listeners = append(c.listeners, listen(c.t, channel+", moving between nodes", channel, 7, c.nodes...))
	}
}

// listenFixed starts only the listeners that stay.
func (c *harness) listenFixed(channels ...string) {
	c.t.Helper()
	for _, channel := range channels {
		for i, node := range c.nodes {
			c.listeners = append(c.listeners, listen(c.t, fmt.Sprintf("%s, at node %d", channel, i), channel, 0, node))
		}
	}
}

// flood starts one publisher per channel, which run until drain. Refused messages are
// published again, with their idempotency keys.
func (c *harness) flood(channels ...string) {
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	c.t.Cleanup(stop)
	for _, channel := range channels {
		c.busy.Go(func() {
			pause := time.NewTicker(2 * time.Millisecond)
			defer pause.Stop()
			for i := 0; ctx.Err() == nil; i++ {
				c.publish(ctx, c.nodes[i%len(c.nodes)], channel)
				<-pause.C
			}
		})
	}
}

// publish publishes until it is accepted.
func (c *harness) publish(ctx context.Context, hub *pubsub.Hub, channel string) {
	i := c.number.Add(1)
	draft := pubsub.Draft{Channel: channel, Data: fmt.Append(nil, i)}
	if i%2 == 0 {
		draft.Key = fmt.Sprint("key", i)
	}
	pause := time.NewTicker(5 * time.Millisecond)
	defer pause.Stop()
	for {
		r := hub.Publish(context.Background(), []pubsub.Draft{draft})[0]
		if r.Err == nil {
			c.mu.Lock()
			c.accepted[r.ID] = channel
			c.mu.Unlock()
			return
		}
		if !errors.Is(r.Err, pubsub.ErrUnavailable) && !errors.Is(r.Err, pubsub.ErrOutcomeUnknown) {
			c.t.Errorf("publish: %v", r.Err)
			return
		}
		if errors.Is(r.Err, pubsub.ErrOutcomeUnknown) && draft.Key == "" {
			return // it may be in the log, and cannot be repeated without a key
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return
		}
	}
}

// say publishes one message to each channel, through the first node.
func (c *harness) say(channels ...string) {
	c.t.Helper()
	for _, channel := range channels {
		c.publish(c.t.Context(), c.nodes[0], channel)
	}
}

// acceptedSoFar returns the number of acknowledged messages.
func (c *harness) acceptedSoFar() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.accepted)
}

// awaitMore waits until n more messages have been accepted.
func (c *harness) awaitMore(n int) {
	c.t.Helper()
	want := c.acceptedSoFar() + n
	await(c.t, "more is published", func() bool { return c.acceptedSoFar() >= want })
}

// pause stops the publishers of flood.
func (c *harness) pause() {
	c.stop()
	c.busy.Wait()
}

// drain stops the publishers and waits until all listeners have everything.
func (c *harness) drain() {
	c.t.Helper()
	c.pause()
	c.awaitReceived()
}

// try publishes one message once, and returns the error and the time it took.
func (c *harness) try(hub *pubsub.Hub, channel string) (took time.Duration, err error) {
	start := time.Now()
	r := hub.Publish(context.Background(), []pubsub.Draft{{Channel: channel, Data: []byte("1")}})[0]
	return time.Since(start), r.Err
}

// awaitReady waits until a node is ready or, with false, not ready.
func (c *harness) awaitReady(node int, ready bool) {
	c.t.Helper()
	await(c.t, fmt.Sprintf("node %d is ready: %v", node, ready), func() bool { return (c.brokers[node].Ready() == nil) == ready })
}

// log returns the whole log of a channel.
func (c *harness) log(channel string) *pubsub.Page {
	c.t.Helper()
	all := &pubsub.Page{}
	for {
		q := pubsub.Query{Channel: channel, Limit: pubsub.MaxPage}
		if n := len(all.Messages); n > 0 {
			q.Cursor = all.Messages[n-1].ID
		}
		page, err := c.nodes[0].Read(c.t.Context(), q)
		if err != nil {
			c.t.Fatalf("read the log of %s: %v", channel, err)
		}
		all.End = page.End
		all.Messages = append(all.Messages, page.Messages...)
		if !page.More {
			return all
		}
	}
}

// verify fails unless every listener had every message of the log once, in order, and
// gaps with exactly these reasons, in order, that start and end where they say. Accepted
// messages that are not in the log must be before such a gap.
func (c *harness) verify(reasons ...pubsub.Reason) {
	c.t.Helper()
	logs := make(map[string]map[pubsub.ID]bool)
	for _, l := range c.listeners {
		if logs[l.channel] == nil {
			logs[l.channel] = make(map[pubsub.ID]bool)
			for _, m := range c.log(l.channel).Messages {
				logs[l.channel][m.ID] = true
			}
		}
	}
	for id, channel := range c.accepted {
		if logs[channel] != nil && !logs[channel][id] && len(reasons) == 0 {
			c.t.Errorf("%s: %v was accepted and is not in the log", channel, id)
		}
	}
	for _, l := range c.listeners {
		l.judge(logs[l.channel], reasons)
	}
}

// awaitGaps waits until all listeners have n gaps.
func (c *harness) awaitGaps(n int) {
	c.t.Helper()
	for _, l := range c.listeners {
		l.until(fmt.Sprint(n, " gaps"), func(items []pubsub.Item) bool { return len(gaps(items)) >= n })
	}
}

// awaitReceived waits until all listeners have everything published so far.
func (c *harness) awaitReceived() {
	c.t.Helper()
	for _, l := range c.listeners {
		l.awaitID(c.log(l.channel).End)
	}
}
