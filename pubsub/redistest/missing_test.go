package redistest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// recorder is a test that only notes how it was ended.
type recorder struct {
	testing.TB
	skipped, failed string
	logged          strings.Builder
	cleanups        []func()
}

func (r *recorder) Name() string     { return "TestOfSomebody" }
func (r *recorder) Helper()          {}
func (r *recorder) Failed() bool     { return r.failed != "" }
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

func (r *recorder) Logf(format string, args ...any) { fmt.Fprintf(&r.logged, format, args...) }

func (r *recorder) Skipf(format string, args ...any) {
	r.skipped = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.failed = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// run is f with r as its test, from start to cleanup.
func (r *recorder) run(f func(testing.TB)) {
	var test sync.WaitGroup
	test.Go(func() { f(r) })
	test.Wait()
	for len(r.cleanups) > 0 {
		last := len(r.cleanups) - 1
		cleanup := r.cleanups[last]
		r.cleanups = r.cleanups[:last]
		cleanup()
	}
}

func TestFailureShowsLog(t *testing.T) {
	lookUp(t)
	t.Setenv("TMPDIR", t.TempDir())
	r := &recorder{TB: t}
	r.run(func(t testing.TB) { Start(t, Args("--no-such-setting", "1")) })
	if !strings.HasPrefix(r.failed, "start redis-server: it ended at once") {
		t.Errorf("failed with %q", r.failed)
	}
	for where, text := range map[string]string{"the failure": r.failed, "the test's log": r.logged.String()} {
		if !strings.Contains(text, "no-such-setting") {
			t.Errorf("%s does not show what redis-server said: %q", where, text)
		}
	}
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "comet*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
