package server

import (
	"testing"

	"go.uber.org/goleak"

	"comet/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, testenv.IgnoreRedisProbe()) }
