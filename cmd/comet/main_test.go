package main

import (
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// processVariable makes this test binary the program, so that tests run the
// real thing, race detector included, without building it again.
const processVariable = "COMET_TEST_PROCESS"

// processTimeout ends a process whose test could not, after any deadline of a
// test.
const processTimeout = 2 * time.Minute

func TestMain(m *testing.M) {
	if os.Getenv(processVariable) != "" {
		time.AfterFunc(processTimeout, func() { os.Exit(3) })
		if err := os.Unsetenv(processVariable); err != nil { // it is no setting
			panic(err)
		}
		main()
	}
	goleak.VerifyTestMain(m)
}
