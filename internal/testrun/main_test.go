package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// ran is a run of one package, as go test tells it.
type ran struct {
	t      *testing.T
	report *report
	text   strings.Builder // what was printed
	logs   string
}

func newRun(t *testing.T) *ran {
	r := &ran{t: t, logs: t.TempDir()}
	r.report = newReport(&r.text, r.logs, time.Now())
	r.report.begin()
	return r
}

// test has a test print lines and end; without an outcome it goes on.
func (r *ran) test(name, outcome string, lines ...string) {
	r.report.add(event{Action: "run", Package: "m/a", Test: name})
	for _, line := range lines {
		r.report.add(event{Action: "output", Package: "m/a", Test: name, Output: line + "\n"})
	}
	if outcome != "" {
		r.report.add(event{Action: outcome, Package: "m/a", Test: name})
	}
}

// end ends the package and the run, and returns the last 28 lines of what was
// printed: go run and make print one each after them.
func (r *ran) end(outcome string) (lastLines string) {
	r.report.add(event{Action: outcome, Package: "m/a", Elapsed: 1})
	if passed := r.report.finish(time.Now()); passed != (outcome == "pass") {
		r.t.Errorf("passed: %v, after %q", passed, outcome)
	}
	return strings.Join(last(strings.Split(strings.TrimSpace(r.text.String()), "\n"), 28), "\n")
}

func (r *ran) want(text string, parts ...string) {
	r.t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			r.t.Errorf("no %q in\n%s", part, text)
		}
	}
}

func TestFailureIsLast(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	r.test("TestGood", "pass")
	noise := slices.Repeat([]string{"    level=DEBUG msg=noise"}, 500)
	log := append([]string{"    server.go:3: the server's log:"}, slices.Repeat([]string{"        a line"}, 50)...)
	r.test("TestBad", "fail", slices.Concat(noise, []string{"    a_test.go:7: got 3, want 4", "        or more"}, noise, log)...)
	r.test("TestLarge", "skip", "    a_test.go:9: large: `make test-all` runs it")
	end := r.end("fail")
	r.want(end, "FAILED: 1", "m/a TestBad", "a_test.go:7: got 3, want 4\n        or more")
	r.want(r.text.String(), "skipped 1, large: `make test-all` runs it\n    m/a TestLarge")
	if log, err := os.ReadFile(filepath.Join(r.logs, "m_a.1.log")); err != nil || strings.Count(string(log), "noise") != 1000 {
		t.Errorf("the log has %d bytes, %v", len(log), err)
	}
}

// TestTimeout: of a dump of goroutines nothing is printed but which tests ran.
func TestTimeout(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	dump := []string{"panic: test timed out after 8m0s", "\trunning tests:", "\t\tTestHangs (7m3s)", "\t\tTestToo (2s)", ""}
	for n := range 300 {
		dump = append(dump, fmt.Sprintf("goroutine %d [select]:", n), "main.f()", "\t/a/b.go:1 +0x1", "")
	}
	r.test("TestHangs", "", append([]string{"    a_test.go:7: it begins"}, dump...)...)
	end := r.end("fail")
	r.want(end, "test timed out after 8m0s running tests: TestHangs (7m3s) TestToo (2s)", r.logs)
	if lines := strings.Count(r.text.String(), "\n"); lines > 20 {
		t.Errorf("%d lines:\n%s", lines, r.text.String())
	}
	if log, err := os.ReadFile(filepath.Join(r.logs, "m_a.1.log")); err != nil || !strings.Contains(string(log), "goroutine 299 ") {
		t.Errorf("the dump is not in the log: %v", err)
	}
}

func TestPanic(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	r.test("TestPanics", "fail", "panic: no such thing [recovered]", "", "goroutine 7 [running]:", "m/a.f()", "\t/m/a/a.go:3 +0x1", "", "goroutine 8 [select]:", "m/a.other()")
	r.want(r.end("fail"), "panic: no such thing", "/m/a/a.go:3")
	if strings.Contains(r.text.String(), "other") {
		t.Errorf("another goroutine is there:\n%s", r.text.String())
	}
}

// TestManyFailures: all of them are named in the last lines.
func TestManyFailures(t *testing.T) {
	t.Parallel()
	for _, n := range []int{2, 9, 26} {
		r := newRun(t)
		for i := range n {
			r.test(fmt.Sprintf("Test%02d", i), "fail", slices.Repeat([]string{fmt.Sprintf("    a_test.go:%d: bad", i)}, 40)...)
		}
		end := r.end("fail")
		for i := range n {
			r.want(end, fmt.Sprintf("m/a Test%02d", i))
		}
	}
	r := newRun(t)
	for i := range 40 {
		r.test(fmt.Sprintf("Test%02d", i), "fail", "    a_test.go:1: bad")
	}
	r.want(r.end("fail"), "FAILED: 40", "and 15 more, above")
}

func TestBuildFails(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	r.report.add(event{Action: "build-output", ImportPath: "m/a", Output: "a/a.go:3:2: undefined: x\n"})
	r.report.add(event{Action: "build-fail", ImportPath: "m/a"})
	r.report.add(event{Action: "fail", Package: "m/a", FailedBuild: "m/a"})
	if r.report.finish(time.Now()) {
		t.Error("passed")
	}
	r.want(r.text.String(), "FAILED: 1,", "build of m/a\na/a.go:3:2: undefined: x\n")
}

func TestPackageFails(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	r.test("TestGood", "pass")
	r.report.add(event{Action: "output", Package: "m/a", Output: "found unexpected goroutines\n"})
	r.want(r.end("fail"), "m/a\nfound unexpected goroutines")
}

func TestSplit(t *testing.T) {
	t.Parallel()
	own, rest := splitOwn([]string{"-logs", "x", "-race", "./...", "--", "./a", "-portable"})
	if runs := splitRuns(rest); fmt.Sprint(own, runs) != "[-logs x] [[-race ./...] [./a -portable]]" {
		t.Errorf("got %q %q", own, runs)
	}
}
