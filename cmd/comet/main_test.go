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

// lifeVariable is another timeout, for a test that takes longer.
const lifeVariable = "TEST_PROCESS_LIFE"

func TestMain(m *testing.M) {
	if os.Getenv(processVariable) != "" {
		life, err := time.ParseDuration(os.Getenv(lifeVariable))
		if err != nil {
			life = processTimeout
		}
		time.AfterFunc(life, func() { os.Exit(3) })
		main()
	}
	goleak.VerifyTestMain(m)
}
