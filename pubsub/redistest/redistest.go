// Package redistest gives a test a real redis-server of its own, to talk to,
// stop, freeze and kill. It is for tests alone.
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
// environment has COMET_TEST_REDIS=required.
package redistest

import (
	"os"
	"os/exec"
	"testing"
)

// requiredVariable set to "required" turns a missing redis-server from a skip
// into a failure, so that `make test` and CI cannot pass without Redis.
const requiredVariable = "COMET_TEST_REDIS"

// Option changes how Start sets its server up.
type Option func(*settings)

type settings struct {
	tcp      bool
	persist  bool
	password string
	args     []string
}

// TCP makes the server listen on 127.0.0.1 instead of a unix socket.
func TCP(s *settings) { s.tcp = true }

// Persist makes the server keep its data (an append-only file) when it is
// stopped or killed, so that Restart brings it back. Without it every restart
// is empty.
func Persist(s *settings) { s.persist = true }

// Password makes the server ask for password, which Server.Options and
// Server.Client then give.
func Password(password string) Option {
	return func(s *settings) { s.password = password }
}

// Args adds to redis-server's command line, as in
// Args("--maxmemory", "1mb"). They win over what this package sets.
func Args(args ...string) Option {
	return func(s *settings) { s.args = append(s.args, args...) }
}

// Start starts a redis-server, returns when it answers, and ends it in t's
// cleanup. If t failed by then, the end of the server's log is in t's.
func Start(t testing.TB, options ...Option) *Server {
	t.Helper()
	s := &Server{t: t, binary: lookUp(t)}
	for _, option := range options {
		option(&s.settings)
	}
	s.makeDir()
	s.startFirst()
	s.client = s.Client()
	return s
}

// lookUp finds redis-server, or ends t and says how to get it.
func lookUp(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err == nil {
		return path
	}
	const how = "%s needs redis-server, which is not installed: run `make redis`, or `apt-get install redis-server`"
	if os.Getenv(requiredVariable) == "required" {
		t.Fatalf(how, t.Name())
	}
	t.Skipf(how, t.Name())
	return ""
}
