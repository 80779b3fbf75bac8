package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"comet/config"
	"comet/pubsub"
	"comet/pubsub/membroker"
	"comet/pubsub/redisbroker"
)

// keyWindow is how long an idempotency key is remembered.
const keyWindow = 5 * time.Minute

// newBroker connects to Redis or, without one, keeps the messages of one node in
// memory.
func newBroker(ctx context.Context, s *config.Settings, rules *channelRules, logger *slog.Logger) (pubsub.Broker, error) {
	if len(s.Redis.Addresses) == 0 {
		return newMemory(rules).Node(), nil
	}
	return newRedisBroker(ctx, s, rules, logger)
}

func newMemory(rules *channelRules) *membroker.Cluster {
	return membroker.New(membroker.Options{Retention: rules.retention, Index: rules.index, KeyWindow: keyWindow})
}

// newRedisBroker connects to Redis. One that refuses is an error. One that is
// away, or a replica, is not, because nodes and Redis may start in any order
// and while a replica takes over.
func newRedisBroker(ctx context.Context, s *config.Settings, rules *channelRules, logger *slog.Logger) (pubsub.Broker, error) {
	tls, err := s.RedisTLS()
	if err != nil {
		return nil, err
	}
	goRedisLog.Store(logger)
	b, err := redisbroker.New(redisbroker.Options{
		Addresses: s.Redis.Addresses,
		Master:    s.Redis.Master,
		Username:  s.Redis.Username,
		Password:  s.RedisPassword,
		Cluster:   s.Redis.Cluster,
		DB:        s.Redis.DB,
		TLS:       tls,
		Timeout:   s.Redis.Timeout,
		Prefix:    s.Redis.Prefix,
		Retention: rules.retention,
		Index:     rules.index,
		KeyWindow: keyWindow,

		SentinelUsername: s.Redis.SentinelUsername,
		SentinelPassword: s.Redis.SentinelPassword.Reveal(),
		MinReplicas:      s.Redis.MinReplicas,
		Links:            s.Redis.Relays,
		Inline:           int(s.Redis.Inline),
		Logger:           logger,
	})
	if err != nil {
		return nil, err
	}
	where := strings.Join(s.Redis.Addresses, ", ")
	var refused *redisbroker.RefusedError
	switch err := b.Check(ctx); {
	case errors.As(err, &refused):
		return nil, errors.Join(fmt.Errorf("redis at %s cannot be used: %w", where, err), b.Close())
	case err != nil:
		logger.Warn("redis unavailable at start; retrying", "addresses", where, "error", err)
	}
	return b, nil
}

// goRedisLog is the logger of the newest node. go-redis has one for the whole
// process, which cannot be replaced while a client uses it.
var goRedisLog atomic.Pointer[slog.Logger]

func init() { redis.SetLogger(redisLogger{}) }

// redisLogger logs at debug what go-redis logs: details of what the broker reports
// anyway.
type redisLogger struct{}

func (redisLogger) Printf(ctx context.Context, format string, v ...any) {
	if l := goRedisLog.Load(); l != nil {
		l.DebugContext(ctx, "go-redis", "message", fmt.Sprintf(format, v...))
	}
}
