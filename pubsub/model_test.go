package pubsub

import (
	"flag"
	"fmt"
	"sync/atomic"
	"testing"
)

var (
	modelSchedules = flag.Int("model.schedules", 30_000, "how many random schedules TestModel runs")
	modelSeed      = flag.Uint64("model.seed", 1, "the seed of TestModel's first schedule")
)

// TestModel runs tails and subscribers through random schedules of everything
// that can go wrong, in memory and without time, and judges what each client
// gets (model_judge_test.go). A schedule that breaks a rule is printed as short
// as it can be made; its seed repeats it:
//
//	go test ./pubsub -run TestModel -model.seed=<seed> -model.schedules=1
func TestModel(t *testing.T) {
	const shards = 4
	n := *modelSchedules
	if testing.Short() {
		n = min(n, 2000)
	}
	var failed atomic.Bool
	for shard := range shards {
		t.Run(fmt.Sprintf("shard=%d", shard), func(t *testing.T) {
			t.Parallel()
			for i := shard; i < n && !failed.Load(); i += shards {
				if s, ops := draw(*modelSeed + uint64(i)); broken(s, ops) {
					failed.Store(true)
					report(t, s, shrink(s, ops))
				}
			}
		})
	}
}

func report(t *testing.T, s setup, ops []operation) {
	story, err := run(s, ops, true)
	t.Errorf("%v\nthe shortest schedule, to repeat with -model.seed=%d -model.schedules=1: %+v\n%s", err, s.seed, s, story)
}
