package redisbroker_test

import (
	"testing"
	"time"

	"comet/internal/testenv"
)

// patience is the timeout of every wait. Nothing should take that long.
const patience = testenv.Patience

// await polls until the condition holds, because other processes do not signal what
// they do.
func await(t testing.TB, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(patience); !so(); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited %v until %s", patience, what)
		}
	}
}
