package redisbroker_test

import (
	"testing"
	"time"

	"comet/internal/testenv"
)

// patience bounds every wait; nothing takes so long by right.
const patience = testenv.Patience

// await asks again and again until it is so: what others' processes do tells
// nobody when it is done.
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
