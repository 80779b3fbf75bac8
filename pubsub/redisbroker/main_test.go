package redisbroker_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// These tests wait for Redis most of the time, so more of them than cores run in
	// parallel.
	const sideBySide = "8"
	if err := flag.Set("test.parallel", sideBySide); err != nil {
		panic(err)
	}
	// go-redis probes an unreachable server until a second after its client is closed.
	const probe = "github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(probe))
}
