package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"comet/internal/servertest"
	"comet/internal/testenv"
)

// deadline is for anything that a test waits for; a loaded machine needs it.
const deadline = testenv.Patience

// process is a running comet. Its methods are for the test's own goroutine.
type process struct {
	t           testing.TB
	command     *exec.Cmd
	out, errOut *servertest.Output
	ended       <-chan struct{} // closed once it ended and its output is complete
}

// setup says how to start a process, besides its arguments.
type setup struct {
	dir     string // to run in; empty: that of the test
	environ []string
	in      io.Reader // nil: empty
	out     *os.File  // nil: process.out
	binary  string    // another comet; empty: the one that is tested

	descriptors int // how many it may have open; 0: the limit of the test
}

// start starts comet with args. It is killed in t's cleanup, if it still runs.
func start(t testing.TB, args ...string) *process {
	t.Helper()
	return setup{}.start(t, args...)
}

func (s setup) start(t testing.TB, args ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	testenv.TakeSlot(t)
	self = cmp.Or(s.binary, self)
	p := &process{t: t, command: exec.Command(self, args...), out: servertest.NewOutput(), errOut: servertest.NewOutput()}
	if s.descriptors > 0 {
		limited := fmt.Sprintf(`ulimit -n %d; exec "$0" "$@"`, s.descriptors)
		p.command = exec.Command(testenv.Program(t, "sh"), append([]string{"-c", limited, self}, args...)...)
	}
	p.command.Dir, p.command.Env = s.dir, append(cleanEnviron(), s.environ...)
	p.command.Stdin, p.command.Stdout, p.command.Stderr = s.in, p.out, p.errOut
	if s.out != nil {
		p.command.Stdout = s.out
	}
	if p.ended, err = testenv.StartProcess(p.command); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.command.Process.Kill() // it may have ended
		<-p.ended
		if t.Failed() {
			t.Logf("comet %s: %v\nstdout:\n%s\nstderr:\n%s", strings.Join(args, " "), p.command.ProcessState, p.out, p.errOut)
		}
	})
	return p
}

// cleanEnviron is the environment without settings of the machine. The race
// detector would otherwise hold up each exit for a second.
func cleanEnviron() []string {
	environ := []string{processVariable + "=1", "GORACE=atexit_sleep_ms=10"}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "COMET_") {
			environ = append(environ, v)
		}
	}
	return environ
}

// runToEnd runs comet to its end.
func runToEnd(t testing.TB, args ...string) *process {
	t.Helper()
	return setup{}.runToEnd(t, args...)
}

func (s setup) runToEnd(t testing.TB, args ...string) *process {
	t.Helper()
	p := s.start(t, args...)
	p.wait()
	return p
}

// wait waits for the end and returns the exit code; -1 after a signal.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(deadline):
		p.t.Fatal("the process did not end")
	}
	return p.command.ProcessState.ExitCode()
}

// signal sends s, or skips the test on a system without signals.
func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if runtime.GOOS == "windows" {
		p.t.Skip("Windows has no signals")
	}
	if err := p.command.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// wantExit waits for the end and checks the code.
func (p *process) wantExit(code int) {
	p.t.Helper()
	if got := p.wait(); got != code {
		p.t.Errorf("exit code %d, want %d", got, code)
	}
}

// wantOut checks all of the standard output.
func (p *process) wantOut(want string) {
	p.t.Helper()
	if got := p.out.String(); got != want {
		p.t.Errorf("standard output %q, want %q", got, want)
	}
}

// wantErrOut checks that the error output has a match of each pattern, and that
// number of lines.
func (p *process) wantErrOut(lines int, patterns ...string) {
	p.t.Helper()
	text := p.errOut.String()
	if got := strings.Count(text, "\n"); got != lines {
		p.t.Errorf("%d lines of error output, want %d", got, lines)
	}
	for _, pattern := range patterns {
		if !regexp.MustCompile(pattern).MatchString(text) {
			p.t.Errorf("error output %q has no match of %q", text, pattern)
		}
	}
}

// awaitOut waits for the pattern in the standard output.
func (p *process) awaitOut(pattern string) []string {
	p.t.Helper()
	return p.out.Await(p.t, pattern, p.ended)
}

// awaitErr waits for the pattern in the error output.
func (p *process) awaitErr(pattern string) []string {
	p.t.Helper()
	return p.errOut.Await(p.t, pattern, p.ended)
}

// startNode starts `comet serve` on a free port, without an admin listener
// unless args enable it, and returns when it serves.
func startNode(t testing.TB, args ...string) (p *process, url string) {
	t.Helper()
	return setup{}.startNode(t, args...)
}

func (s setup) startNode(t testing.TB, args ...string) (p *process, url string) {
	t.Helper()
	p = s.start(t, append([]string{"serve", "--http-listen", "127.0.0.1:0", "--admin-listen", "", "--drain-delay", "0s", "--drain-spread", "0s"}, args...)...)
	return p, p.awaitErr(`msg=serving .*url=(\S+)`)[1]
}

// startNodeWithAdmin is startNode with an admin listener on a free port.
func startNodeWithAdmin(t testing.TB, args ...string) (p *process, url, admin string) {
	t.Helper()
	p, url = startNode(t, append([]string{"--admin-listen", "127.0.0.1:0"}, args...)...)
	return p, url, p.awaitErr(`msg=serving .*admin=(\S+)`)[1]
}

// wantLeave sends s to a node or demo and checks that it exits with 0.
func (p *process) wantLeave(s syscall.Signal) {
	p.t.Helper()
	p.signal(s)
	p.wantExit(exitOK)
}

// numbers returns a line for each number of the range.
func numbers(from, to int) string {
	var b strings.Builder
	for n := from; n <= to; n++ {
		fmt.Fprintln(&b, n)
	}
	return b.String()
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
