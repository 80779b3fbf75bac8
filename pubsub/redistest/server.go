package redistest

import (
	"net"
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
	process *process // the newest run; may have ended
	frozen  bool
	client  *redis.Client // for Do
}

// Addr is where the server listens, now and after every Restart: the path of
// its socket, or host:port. go-redis takes either.
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
	// say goodbye to the server.
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
		if err := os.RemoveAll(dir); err != nil {
			s.t.Errorf("remove redis-server's directory: %v", err)
		}
	})
}

// startFirst chooses an address and starts the server on it.
func (s *Server) startFirst() {
	s.t.Helper()
	s.t.Cleanup(func() {
		if s.process != nil {
			s.process.kill()
		}
	})
	s.addr = filepath.Join(s.dir, "redis.sock")
	attempts := 1
	if s.tcp {
		attempts = 3 // another may take the free port before redis-server does
	}
	var err error
	for range attempts {
		if s.tcp {
			s.addr = s.freeAddr()
		}
		if err = s.start(); err == nil {
			return
		}
	}
	s.t.Fatalf("start redis-server: %v", err)
}

// freeAddr is an address that nobody listens on.
func (s *Server) freeAddr() string {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatalf("find a free port: %v", err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start starts redis-server at s.addr and waits until it answers.
func (s *Server) start() error {
	log, err := os.OpenFile(s.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own descriptor
	p, err := startProcess(s.binary, s.commandLine(), log)
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

// commandLine is redis-server's; it reads no file.
func (s *Server) commandLine() []string {
	args := []string{"--dir", s.dir, "--save", "", "--daemonize", "no", "--logfile", ""}
	if s.tcp {
		host, port, _ := net.SplitHostPort(s.addr)
		args = append(args, "--bind", host, "--port", port)
	} else {
		args = append(args, "--port", "0", "--unixsocket", s.addr)
	}
	if s.persist {
		args = append(args, "--appendonly", "yes", "--appendfsync", "no") // no power cut is tested
	}
	if s.password != "" {
		args = append(args, "--requirepass", s.password)
	}
	return append(args, s.args...)
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
