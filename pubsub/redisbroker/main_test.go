package redisbroker_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"

	"comet/internal/testenv"
)

func TestMain(m *testing.M) {
	// These tests wait for Redis most of the time, so more of them than cores run in
	// parallel.
	const sideBySide = "8"
	if err := flag.Set("test.parallel", sideBySide); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, testenv.IgnoreRedisProbe())
}
