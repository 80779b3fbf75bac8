// Package redisbroker connects nodes through Redis: a channel's log is a
// stream, and pub/sub relays what is appended to it. Both happen in one script
// (publish.lua), so a message is in the log before it is relayed.
//
// It needs Redis 7 or newer, or Valkey.
package redisbroker

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"comet/internal/metrics"
	"comet/pubsub"
)

// Options select the Redis, and set how logs are kept.
type Options struct {
	Addresses []string // host:port or the path of a socket; several are Redis Cluster nodes or, with Master, Sentinels
	Master    string   // the name of the primary in the Sentinels; empty: no Sentinels
	Username  string
	Password  func() (string, error) // called for each new connection; nil: no password
	Cluster   bool                   // a Redis Cluster, even with one address
	DB        int
	TLS       *tls.Config // nil: plain

	SentinelUsername, SentinelPassword string

	Timeout time.Duration // of a command; an attempt to connect gets a quarter of it; default 3s
	Prefix  string        // of every key and pub/sub channel; default comet

	Size      int           // minimum number of messages kept per channel (Redis trims in blocks of about 100)
	TTL       time.Duration // a log expires this long after its newest message
	KeyWindow time.Duration // how long an idempotency key is remembered

	// Retention returns the size and TTL of the log of a channel, or of an index log. It is called at each
	// publish and must be safe for concurrent use. Default: Size and TTL above.
	Retention func(log string) (size int, ttl time.Duration)

	Index *pubsub.Index // which channels have index logs; nil: none

	MinReplicas int // replicas that must have a publish before it is acknowledged
	Links       int // relay connections; default 1. A Redis Cluster always has one per primary
	Inline      int // larger data, in bytes, is not relayed; each node reads it from the log; default 16 KiB

	Logger *slog.Logger // default: none
}

// Broker implements pubsub.Broker.
type Broker struct {
	options     Options
	keys        keys
	logger      *slog.Logger
	topology    topology
	ctx         context.Context // ends with Close
	cancel      context.CancelFunc
	busy        sync.WaitGroup // calls under way, so that Close can wait
	reading     sync.WaitGroup // reads, also those whose caller has returned
	wanted      wanted
	health      health
	quorum      quorumChecks
	history     epochHistory
	replicas    replicaStatuses
	errorCounts errorCounters
	foreign     *foreign
	partial     *metrics.Warnings // see reportPartial

	mu     sync.Mutex
	closed bool
}

// New makes a broker. It does not connect; see Check.
func New(o Options) (*Broker, error) {
	if o.Timeout == 0 {
		o.Timeout = 3 * time.Second
	}
	if o.Prefix == "" {
		o.Prefix = "comet"
	}
	if o.Links == 0 {
		o.Links = 1
	}
	if o.Inline == 0 {
		o.Inline = 16 << 10
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Retention == nil {
		o.Retention = func(string) (int, time.Duration) { return o.Size, o.TTL }
	}
	t, err := connect(o)
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	b := &Broker{options: o, keys: newKeys(o.Prefix, o.DB), logger: o.Logger, topology: t, errorCounts: newErrorCounters(), foreign: newForeign(o.Logger),
		partial: metrics.NewWarnings(o.Logger)}
	if b.sharded() {
		b.keys.index = o.Index
	}
	b.wanted.kick = make(chan struct{}, 1)
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b, nil
}

// sharded reports whether the relay is sharded pub/sub, as Redis Cluster's is.
func (b *Broker) sharded() bool {
	_, ok := b.topology.(*cluster)
	return ok
}

// startCall starts a call, which ends after Options.Timeout or at Close. The caller
// must call end after it; Close waits for that. After Close, startCall returns
// pubsub.ErrClosed.
func (b *Broker) startCall(ctx context.Context) (_ context.Context, end func(), err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, nil, pubsub.ErrClosed
	}
	b.busy.Add(1)
	ctx, cancel := context.WithTimeout(ctx, b.options.Timeout)
	return ctx, func() {
		cancel()
		b.busy.Done()
	}, nil
}

// Close implements pubsub.Broker.
func (b *Broker) Close() error {
	b.mu.Lock()
	first := !b.closed
	b.closed = true
	b.mu.Unlock()
	b.cancel()
	b.busy.Wait()
	if !first {
		return nil
	}
	err := b.topology.close() // which ends the reads
	b.reading.Wait()
	return err
}
