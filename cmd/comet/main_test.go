package main

import (
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// processVariable makes this test binary the program, so that tests run the
// real thing, race detector included, without building it again. What the
// program starts inherits it. (COMET_* would be a setting.)
const processVariable = "TEST_PROCESS_COMET"

// processTimeout ends a process whose test could not, after any deadline of a
// test.
const processTimeout = 2 * time.Minute

func TestMain(m *testing.M) {
	if os.Getenv(processVariable) != "" {
		time.AfterFunc(processTimeout, func() { os.Exit(3) })
		main()
	}
	goleak.VerifyTestMain(m)
}
