// Package redisbroker connects nodes through Redis: a channel's log is a
// stream, and pub/sub relays what is appended to it. Both happen in one script
// (publish.lua), so a message is in the log before anybody is told of it.
//
// It needs Redis 7 or newer, or Valkey.
package redisbroker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"comet/pubsub"
)

// Options say which Redis, and how its logs are kept.
type Options struct {
	Addresses []string // host:port or the path of a socket; several: Redis Cluster, or Sentinels with Master
	Master    string   // the name that the Sentinels know the primary by
	Username  string
	Password  string
	DB        int
	TLS       *tls.Config   // nil: plain
	Timeout   time.Duration // of dialling, and of each command; default 3s
	Prefix    string        // of every key and pub/sub channel; default comet

	Size      int           // newest messages kept a channel, at least (Redis trims in blocks of some 100)
	TTL       time.Duration // a log goes when nothing was published for so long
	KeyWindow time.Duration // how long an idempotency key is remembered

	Logger *slog.Logger // default: none
}

// Broker implements pubsub.Broker.
type Broker struct {
	options Options
	keys    keys
	logger  *slog.Logger
	client  redis.UniversalClient
	shared  *redis.AutoPipeliner // concurrent publishes share its pipelines
	ctx     context.Context      // ends with Close
	cancel  context.CancelFunc
	busy    sync.WaitGroup // calls under way, so that Close can wait
	wanted  wanted

	mu     sync.Mutex
	closed bool
}

// New makes a broker; it does not connect yet, see Check.
func New(o Options) (*Broker, error) {
	if o.Timeout == 0 {
		o.Timeout = 3 * time.Second
	}
	if o.Prefix == "" {
		o.Prefix = "comet"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	client := redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs:      o.Addresses,
		MasterName: o.Master,
		Username:   o.Username,
		Password:   o.Password,
		DB:         o.DB,
		TLSConfig:  o.TLS,
		ClientName: "comet",

		DialTimeout:           o.Timeout,
		ReadTimeout:           o.Timeout,
		WriteTimeout:          o.Timeout,
		ContextTimeoutEnabled: true,
		// A publish that was sent must never be sent again, or it could be
		// delivered twice; reads are repeated by who asked.
		MaxRetries: -1,
		// Hand-overs announced by Redis Enterprise would exchange the relay's
		// connection behind our back, see link.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	shared, err := client.AutoPipeline()
	if err != nil {
		return nil, fmt.Errorf("redis: %w", errors.Join(err, client.Close()))
	}
	b := &Broker{options: o, keys: keys{o.Prefix}, logger: o.Logger, client: client, shared: shared}
	b.wanted.kick = make(chan struct{}, 1)
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b, nil
}

// begin counts a call as under way and bounds it by Options.Timeout and by
// Close. Call end when it is done. It fails once the broker is closed.
func (b *Broker) begin(ctx context.Context) (_ context.Context, end func(), err error) {
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
	return errors.Join(b.shared.Close(), b.client.Close())
}
