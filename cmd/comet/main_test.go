package main

import (
	"os"
	"runtime"
	"testing"

	"go.uber.org/goleak"

	"comet/internal/testenv"
)

// processVariable makes this test binary the program, so that tests run the
// real thing, race detector included, without building it again. Processes that the
// program starts inherit it. (COMET_* would be a setting.)
const processVariable = "TEST_PROCESS_COMET"

func TestMain(m *testing.M) {
	if os.Getenv(processVariable) != "" {
		main()
	}
	testenv.LimitProcesses(2 * runtime.GOMAXPROCS(0)) // they mostly wait
	goleak.VerifyTestMain(m, testenv.IgnoreRedisProbe())
}
