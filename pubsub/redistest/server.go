package redistest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Server is one redis-server. Its methods fail the test when they cannot do
// what they say, so only the test's own goroutine may call them.
type Server struct {
	t      testing.TB
	binary string
	settings

	dir     string // socket, log and data; short, for a socket's path has at most 103 bytes on macOS
	addr    string
	busPort string   // of a cluster node
	process *process // the newest run; may have ended
	frozen  bool
	client  *redis.Client // for Do
}

// Addr is where the server listens, now and after every Restart: the path of
// its socket, or host:port. go-redis takes either. Only Cluster.Readdress
// changes it.
func (s *Server) Addr() string { return s.addr }

// Network is "unix" or "tcp", as net.Dial calls it.
func (s *Server) Network() string {
	if s.tcp {
		return "tcp"
	}
	return "unix"
}

// Stop ends the server as an operator would and returns when it is gone. With
// Persist its data is there after Restart. It may be down already.
func (s *Server) Stop() {
	s.t.Helper()
	s.Thaw() // a frozen process cannot hear that it shall leave
	if err := s.process.stop(); err != nil {
		s.t.Fatalf("stop redis-server: %v", err)
	}
}

// Kill ends the server as a crash would and returns when it is gone. With
// Persist every answered write is there after Restart: Redis hands it to the
// kernel before it answers. It may be down already.
func (s *Server) Kill() {
	s.process.kill()
	s.frozen = false
}

// Restart stops the server if it runs, starts it at the same address, and
// returns when it answers.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	if err := s.start(); err != nil {
		s.t.Fatalf("restart redis-server: %v", err)
	}
}

// Freeze halts the server: connections stay open and new ones are taken, but
// nothing is answered until Thaw, which cleanup calls if the test does not.
func (s *Server) Freeze() {
	s.t.Helper()
	if err := s.process.freeze(); err != nil {
		s.t.Fatalf("freeze redis-server: %v", err)
	}
	s.frozen = true
	// Before the cleanups of what the test made since Start: they may want to
	// close their connections to the server.
	s.t.Cleanup(s.Thaw)
}

// Thaw ends what Freeze began. Without one it does nothing.
func (s *Server) Thaw() {
	s.t.Helper()
	if !s.frozen {
		return
	}
	s.frozen = false
	if err := s.process.thaw(); err != nil {
		s.t.Fatalf("thaw redis-server: %v", err)
	}
}

// running reports whether the server can answer.
func (s *Server) running() bool {
	select {
	case <-s.process.done:
		return false
	default:
		return !s.frozen
	}
}

// makeDir makes the server's directory, which cleanup removes.
func (s *Server) makeDir() {
	s.t.Helper()
	dir, err := os.MkdirTemp("", "comet")
	if err != nil {
		s.t.Fatalf("make a directory for redis-server: %v", err)
	}
	s.dir = dir
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.t.Logf("the end of redis-server's log:\n%s", s.logTail())
		}
		// A child of redis-server that was killed may not have noticed yet.
		await(s.t, "redis-server's directory is removed", func() error { return os.RemoveAll(dir) })
	})
}

// startAnywhere chooses an address and starts the server on it.
func (s *Server) startAnywhere() {
	s.t.Helper()
	attempts := 1
	if s.tcp {
		attempts = 3 // another may take the free port before redis-server does
	}
	var err error
	for range attempts {
		s.chooseAddr()
		if err = s.start(); err == nil {
			s.client = s.Client()
			return
		}
	}
	s.t.Fatalf("start redis-server: %v", err)
}

// start starts redis-server at s.addr and waits until it answers.
func (s *Server) start() error {
	log, err := os.OpenFile(s.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own descriptor
	p, err := startProcess(s.binary, s.commandLine(), s.environment(), log)
	if err != nil {
		return err
	}
	s.process = p
	if err := s.awaitReady(); err != nil {
		p.kill()
		return err
	}
	return nil
}

func (s *Server) logPath() string { return filepath.Join(s.dir, "redis.log") }

// logTail is the last lines that the server wrote, over all its runs.
func (s *Server) logTail() string {
	const lines = 40
	text, err := os.ReadFile(s.logPath())
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
