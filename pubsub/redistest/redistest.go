// Package redistest gives a test real Redis servers of its own, to talk to,
// stop, freeze and kill: one (Start), one that follows another (Replica),
// several under Sentinels (StartSentinel) or a Redis Cluster (StartCluster),
// and a network to them that can be cut (StartProxy). It is for tests alone.
//
//	server := redistest.Start(t)
//	client := server.Client()
//
// Servers listen on a unix socket in a directory of their own (or, with TCP,
// on a free port of 127.0.0.1), so tests may run in parallel and no other Redis
// of the machine is disturbed. A server goes away with its test, and on Linux
// with the test's process too, however that ends.
//
// Where redis-server is missing, Start skips the test, or fails it if the
// environment has COMET_TEST_REDIS=required. What a test started is used by its
// own goroutine alone, unless a method says otherwise.
package redistest

import (
	"os"
	"os/exec"
	"testing"
)

// requiredVariable set to "required" turns a missing redis-server from a skip
// into a failure, so that `make test` and CI cannot pass without Redis.
const requiredVariable = "COMET_TEST_REDIS"

// Start starts a redis-server, returns when it answers, and ends it in t's
// cleanup. If t failed by then, the end of the server's log is in t's.
func Start(t testing.TB, options ...Option) *Server {
	t.Helper()
	var s settings
	for _, option := range options {
		option(&s)
	}
	return startServer(t, s)
}

func startServer(t testing.TB, settings settings) *Server {
	t.Helper()
	s := &Server{t: t, binary: lookUp(t), settings: settings}
	s.makeDir()
	s.writeClock()
	s.writeTLS()
	s.writeConfig()
	t.Cleanup(func() {
		if s.process != nil {
			s.process.kill()
		}
	})
	s.startAnywhere()
	return s
}

// lookUp finds redis-server, which is redis-sentinel too.
func lookUp(t testing.TB) string {
	t.Helper()
	return lookUpProgram(t, "redis-server", "run `make redis`, or `apt-get install redis-server`")
}

// lookUpProgram finds a program, or ends t and says how to get it.
func lookUpProgram(t testing.TB, program, how string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	const missing = "%s needs %s, which is not installed: %s"
	if os.Getenv(requiredVariable) == "required" {
		t.Fatalf(missing, t.Name(), program, how)
	}
	t.Skipf(missing, t.Name(), program, how)
	return ""
}
