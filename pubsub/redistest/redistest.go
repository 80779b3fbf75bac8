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
// Where redis-server is missing, Start skips or fails the test as package testenv
// decides. A test uses what it started in its own goroutine alone, unless a method
// says otherwise.
package redistest

import (
	"testing"

	"comet/internal/testenv"
)

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
	testenv.TakeSlot(t)
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
	return testenv.Program(t, "redis-server")
}
