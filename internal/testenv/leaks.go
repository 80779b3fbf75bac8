package testenv

import "go.uber.org/goleak"

// IgnoreRedisProbe has goleak ignore a goroutine of go-redis, which probes an
// unreachable server until a second after its client is closed.
func IgnoreRedisProbe() goleak.Option {
	return goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial")
}
