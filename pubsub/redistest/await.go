package redistest

import (
	"testing"
	"time"

	"comet/internal/testenv"
)

const (
	// awaitTimeout is for a loaded machine; 3 s are usual for a failover.
	awaitTimeout = testenv.Patience
	awaitPoll    = 10 * time.Millisecond
)

// await returns when check does not fail any more, and ends the test if that
// takes too long; what completes the sentence "wait until …".
func await(t testing.TB, what string, check func() error) {
	t.Helper()
	deadline := time.After(awaitTimeout)
	tick := time.NewTicker(awaitPoll)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("wait until %s: still not after %v: %v", what, awaitTimeout, err)
		}
	}
}
