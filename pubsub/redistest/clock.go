package redistest

import (
	_ "embed"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"comet/internal/testenv"
)

// clockShim stands between redis-server and the system's clock. Redis has no
// clock of its own that could be set, and libfaketime is seldom installed.
//
//go:embed testdata/clock.c
var clockShim string

// Clock makes the server's clock wrong by offset, slow if negative, and lets
// Server.SetClock change that. Servers that have it from one option have a
// clock each. It is for Linux and needs a C compiler; without, the test is
// skipped.
func Clock(offset time.Duration) Option {
	return func(s *settings) { s.clock = &offset }
}

// SetClock makes the clock of a server with the option Clock wrong by offset
// after this: steps forth and back.
func (s *Server) SetClock(offset time.Duration) {
	s.t.Helper()
	if s.clock == nil {
		s.t.Fatalf("set the clock of redis-server: start it with the option redistest.Clock(0)")
	}
	// Written in place, for the server has it mapped.
	file, err := os.OpenFile(s.clockPath(), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatalf("set the clock of redis-server: %v", err)
	}
	defer file.Close()
	if err := binary.Write(file, binary.NativeEndian, offset.Microseconds()); err != nil {
		s.t.Fatalf("set the clock of redis-server: %v", err)
	}
}

// writeClock makes what environment names, if the server has the option.
func (s *Server) writeClock() {
	s.t.Helper()
	if s.clock == nil {
		return
	}
	if runtime.GOOS != "linux" {
		s.t.Skipf("%s needs a Redis with a wrong clock, which can be had on Linux only", s.t.Name())
	}
	compiler := testenv.Program(s.t, "cc")
	build := exec.Command(compiler, "-shared", "-fPIC", "-O1", "-x", "c", "-o", s.shimPath(), "-")
	build.Stdin = strings.NewReader(clockShim)
	if output, err := build.CombinedOutput(); err != nil {
		s.t.Fatalf("compile the clock of redis-server: %v\n%s", err, output)
	}
	s.SetClock(*s.clock)
}

// environment is what redis-server's process gets beside this one's.
func (s *Server) environment() []string {
	if s.clock == nil {
		return nil
	}
	return []string{"LD_PRELOAD=" + s.shimPath(), "COMET_TEST_CLOCK=" + s.clockPath()}
}

func (s *Server) shimPath() string  { return filepath.Join(s.dir, "clock.so") }
func (s *Server) clockPath() string { return filepath.Join(s.dir, "clock") }
