package redisbroker_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// These tests wait for Redis most of the time: more of them than there are
	// cores get on well side by side.
	const sideBySide = "8"
	if err := flag.Set("test.parallel", sideBySide); err != nil {
		panic(err)
	}
	// go-redis's probe of a server that is away ends a second after its client.
	const probe = "github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(probe))
}
