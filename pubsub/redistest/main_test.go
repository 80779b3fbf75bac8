package redistest

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// orphanVariable makes this binary the test process that TestOrphan kills.
const orphanVariable = "COMET_TEST_ORPHAN"

func TestMain(m *testing.M) {
	if os.Getenv(orphanVariable) != "" {
		os.Exit(m.Run()) // it will be killed: nothing to count
	}
	goleak.VerifyTestMain(m)
}
