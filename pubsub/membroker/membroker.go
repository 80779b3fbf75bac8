// Package membroker is the broker for one process: the logs are in memory, and
// nodes of the same Cluster relay to each other by plain calls. It is what runs
// when no Redis is configured, and in tests.
package membroker

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"comet/pubsub"
)

// Options bound the logs.
type Options struct {
	Size      int           // newest messages kept a channel; at least 1
	TTL       time.Duration // a log goes when nothing was published for so long
	KeyWindow time.Duration // how long an idempotency key is remembered

	// Retention says what Size and TTL are for a channel or index log; it is asked at
	// each publish, by many at once. nil: those above, for all.
	Retention func(log string) (size int, ttl time.Duration)
	// Index says which channels have index logs; nil: none.
	Index *pubsub.Index
}

// Cluster is the logs that its nodes share.
type Cluster struct {
	options  Options
	epoch    pubsub.Epoch
	registry registry
	records  records

	mu      sync.Mutex
	logs    map[string]*channelLog
	tidyLen int // remove expired logs when there are that many logs
}

// New makes a cluster without nodes and without messages. Each is a new
// epoch.
func New(o Options) *Cluster {
	if o.Retention == nil {
		o.Retention = func(string) (int, time.Duration) { return o.Size, o.TTL }
	}
	return &Cluster{
		options: o,
		epoch:   1 + rand.N(pubsub.MaxEpoch),
		logs:    make(map[string]*channelLog),
		tidyLen: 1024,
	}
}

// Node joins a node to the cluster; its Close leaves it.
func (c *Cluster) Node() *Broker {
	return &Broker{cluster: c, wakeup: make(chan struct{}, 1), closed: make(chan struct{})}
}

// locked returns the log of channel, locked.
func (c *Cluster) locked(channel string) *channelLog {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.logs) >= c.tidyLen {
		c.tidy()
	}
	return c.lock(channel)
}

// lockedWithIndex returns the log of channel and its index log, nil if it has none, both
// locked.
func (c *Cluster) lockedWithIndex(channel string) (l, index *channelLog) {
	name := c.options.Index.Log(channel)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.logs) >= c.tidyLen {
		c.tidy() // before one is locked: it locks all
	}
	if l = c.lock(channel); name != "" {
		index = c.lock(name)
	}
	return l, index
}

// lock locks the log of channel, and makes it if there is none. The caller holds c.mu.
func (c *Cluster) lock(channel string) *channelLog {
	l := c.logs[channel]
	if l == nil {
		l = &channelLog{channel: channel, sinks: make(map[*Broker]pubsub.Sink)}
		c.logs[channel] = l
	}
	l.mu.Lock()
	l.expire(time.Now())
	return l
}

// tidy removes the logs that are expired and have no subscribers. Doing it
// only when the number has doubled keeps its cost a publish constant.
func (c *Cluster) tidy() {
	now := time.Now()
	for channel, l := range c.logs {
		l.mu.Lock()
		if l.expire(now); l.unused() {
			delete(c.logs, channel)
		}
		l.mu.Unlock()
	}
	c.tidyLen = max(1024, 2*len(c.logs))
}

// Broker is one node's view of the cluster. It implements pubsub.Broker.
type Broker struct {
	cluster *Cluster
	wakeup  chan struct{} // holds a token while changes may be non-empty
	closed  chan struct{}
	busy    sync.WaitGroup // Relay, so that Close can wait

	mu      sync.Mutex
	down    bool
	changes []change
}

// change is a Subscribe or Unsubscribe that Relay has not carried out yet.
type change struct {
	channel string
	carry   bool
}

// Publish implements pubsub.Broker.
func (b *Broker) Publish(_ context.Context, drafts []pubsub.Draft) []pubsub.Receipt {
	receipts := make([]pubsub.Receipt, len(drafts))
	for i, d := range drafts {
		if b.isClosed() {
			receipts[i].Err = pubsub.ErrClosed
			continue
		}
		receipts[i] = b.cluster.publish(d)
	}
	return receipts
}

// Read implements pubsub.Broker.
func (b *Broker) Read(_ context.Context, queries []pubsub.Query) []pubsub.Page {
	pages := make([]pubsub.Page, len(queries))
	for i, q := range queries {
		if b.isClosed() {
			pages[i].Err = pubsub.ErrClosed
			continue
		}
		l := b.cluster.locked(q.Channel)
		pages[i] = l.read(q, b.cluster)
		l.mu.Unlock()
	}
	return pages
}

// Shard implements pubsub.Broker.
func (b *Broker) Shard(string) any { return nil }

// Subscribe implements pubsub.Broker.
func (b *Broker) Subscribe(channels ...string) { b.change(channels, true) }

// Unsubscribe implements pubsub.Broker.
func (b *Broker) Unsubscribe(channels ...string) { b.change(channels, false) }

func (b *Broker) change(channels []string, carry bool) {
	b.mu.Lock()
	for _, c := range channels {
		b.changes = append(b.changes, change{c, carry})
	}
	b.mu.Unlock()
	select {
	case b.wakeup <- struct{}{}:
	default:
	}
}

// Relay implements pubsub.Broker. Received is called in the publisher's goroutine,
// with the channel's log locked.
func (b *Broker) Relay(ctx context.Context, sink pubsub.Sink) error {
	b.mu.Lock()
	if b.down {
		b.mu.Unlock()
		return pubsub.ErrClosed
	}
	b.busy.Add(1)
	b.mu.Unlock()
	defer b.busy.Done()

	carried := make(map[string]*channelLog)
	defer func() {
		for _, l := range carried {
			l.leave(b)
		}
	}()
	for {
		for _, c := range b.takeChanges() {
			if l := carried[c.channel]; l != nil && !c.carry {
				l.leave(b)
				delete(carried, c.channel)
			} else if c.carry {
				l := b.cluster.locked(c.channel)
				l.sinks[b] = sink
				sink.Subscribed(c.channel)
				l.mu.Unlock()
				carried[c.channel] = l
			}
		}
		select {
		case <-b.wakeup:
		case <-b.closed:
			return pubsub.ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (b *Broker) takeChanges() []change {
	b.mu.Lock()
	defer b.mu.Unlock()
	changes := b.changes
	b.changes = nil
	return changes
}

// Close implements pubsub.Broker.
func (b *Broker) Close() error {
	b.mu.Lock()
	if !b.down {
		b.down = true
		close(b.closed)
	}
	b.mu.Unlock()
	b.busy.Wait()
	return nil
}

func (b *Broker) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.down
}
