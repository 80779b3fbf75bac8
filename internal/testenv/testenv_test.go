package testenv_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"comet/internal/testenv"
)

// recorder notes how a test ended.
type recorder struct {
	testing.TB
	skipped, failed string
}

func (r *recorder) Helper()          {}
func (r *recorder) Skip(args ...any) { r.skipped = fmt.Sprint(args...); runtime.Goexit() }
func (r *recorder) Skipf(format string, args ...any) {
	r.skipped = fmt.Sprintf(format, args...)
	runtime.Goexit()
}
func (r *recorder) Fatalf(format string, args ...any) {
	r.failed = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// record runs f as a test of its own.
func record(f func(t testing.TB)) *recorder {
	r := &recorder{}
	done := make(chan struct{})
	go func() { defer close(done); f(r) }()
	<-done
	return r
}

func TestLarge(t *testing.T) {
	large := func(t testing.TB) { testenv.Large(t) }
	t.Setenv("COMET_TEST_ALL", "")
	if r := record(large); !strings.Contains(r.skipped, "make test-all") {
		t.Errorf("skipped with %q, want the name of the command that runs it", r.skipped)
	}
	t.Setenv("COMET_TEST_ALL", "1")
	if r := record(large); r.skipped != "" {
		t.Errorf("skipped with %q", r.skipped)
	}
}

func TestProgram(t *testing.T) {
	var found string
	program := func(name string) func(testing.TB) {
		return func(t testing.TB) { found = testenv.Program(t, name) }
	}
	t.Setenv("COMET_TEST_ALL", "")
	if r := record(program("curl")); !strings.Contains(r.skipped, "make test-all") {
		t.Errorf("a program that is not basic: skipped with %q", r.skipped)
	}
	t.Setenv("COMET_TEST_ALL", "1")
	if r := record(program("curl")); r.skipped+r.failed != "" || found == "" {
		t.Errorf("curl: %q, skipped %q, failed %q", found, r.skipped, r.failed)
	}
	if r := record(program("unheard-of")); r.failed == "" {
		t.Error("a program without a package is no failure")
	}
	t.Setenv("PATH", t.TempDir())
	if r := record(program("npm")); r.skipped != "" || !strings.Contains(r.failed, "apt-get install npm") {
		t.Errorf("skipped with %q, failed with %q, want how to install it", r.skipped, r.failed)
	}
	t.Setenv("COMET_TEST_ALL", "")
	if r := record(program("redis-server")); !strings.Contains(r.skipped, "apt-get install redis-server") {
		t.Errorf("skipped with %q, want how to install it", r.skipped)
	}
}
