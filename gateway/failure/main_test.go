// Package failure is the failure suite: a cluster of real nodes on a real Redis,
// clients that come and go, a scheduler of faults in an order that a seed decides,
// and a judge that compares the history of each client with the logs. It has only
// tests.
//
//	COMET_TEST_ALL=1 go test ./gateway/failure                  a few seeds
//	COMET_TEST_ALL=1 go test ./gateway/failure -failure.seed=7 -failure.redis=cluster
//	make test-failure DURATION=10m                              seed after seed
//	make test-failure DURATION=1s ARGS="-failure.seed=7"        the long round of one
package failure

import (
	"flag"
	"testing"
	"time"

	"go.uber.org/goleak"

	"comet/internal/testenv"
)

var (
	seedFlag     = flag.Uint64("failure.seed", defaultSeed, "the first seed")
	durationFlag = flag.Duration("failure.duration", 0, "run seed after seed for this time over each Redis; 0: a few short rounds")
	redisFlag    = flag.String("failure.redis", "", "only standalone, sentinel or cluster; empty: all of them, in parallel")
)

// defaultSeed begins with a failover that loses messages and with slots that
// move: a short round has time for a few faults only.
const defaultSeed = 12

// The duration of a round's faults. The start and the end of a round take some
// seconds more.
const (
	shortRound = 8 * time.Second
	longRound  = 40 * time.Second
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, testenv.IgnoreRedisProbe()) }
