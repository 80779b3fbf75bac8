package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// event is a line of `go test -json`: see `go doc test2json` and `go help buildjson`.
type event struct {
	Time        time.Time
	Action      string
	Package     string
	ImportPath  string // of build events
	Test        string
	Elapsed     float64 // seconds
	Output      string
	FailedBuild string
}

// report collects the events of all runs, prints progress, and in the end what
// matters of them. It is for one goroutine.
type report struct {
	out   io.Writer
	logs  string // folder
	start time.Time

	run      int             // the number of the current one, from 1
	packages map[string]*pkg // of the current run, by import path, until they end
	passed   int             // tests
	skips    map[string][]string
	failures []failure
}

// pkg is a package while its tests run.
type pkg struct {
	output          strings.Builder
	tests           map[string]*test // those that have not passed
	passed, skipped int
}

type test struct {
	name    string
	started time.Time
	output  strings.Builder
	outcome string // empty while it runs
	elapsed float64
}

// failure is a test, a package or a build that failed.
type failure struct {
	title string
	log   string // file with the whole output, or empty
	output
}

func newReport(out io.Writer, logs string, start time.Time) *report {
	return &report{out: out, logs: logs, start: start, skips: map[string][]string{}}
}

// begin begins the next run.
func (r *report) begin() {
	r.run++
	r.packages = map[string]*pkg{}
}

// add takes an event and reports whether it printed a line.
func (r *report) add(e event) bool {
	p := r.packageOf(cmp.Or(e.Package, e.ImportPath))
	switch {
	case e.Action == "build-output":
		p.output.WriteString(e.Output)
	case e.Action == "build-fail":
		r.failures = append(r.failures, failure{title: "build of " + e.ImportPath, output: outputOf(p.output.String())})
	case e.Test == "":
		return r.addToPackage(p, e)
	default:
		return r.addToTest(p, e)
	}
	return false
}

func (r *report) packageOf(path string) *pkg {
	if r.packages[path] == nil {
		r.packages[path] = &pkg{tests: map[string]*test{}}
	}
	return r.packages[path]
}

func (r *report) addToTest(p *pkg, e event) bool {
	t := p.tests[e.Test]
	if t == nil {
		t = &test{name: e.Test, started: e.Time}
		p.tests[e.Test] = t
	}
	switch e.Action {
	case "output":
		p.output.WriteString(e.Output)
		t.output.WriteString(e.Output)
	case "pass", "bench":
		delete(p.tests, e.Test)
		p.passed++
	case "skip":
		t.outcome = e.Action
		p.skipped++
		reason := skipReason(t.output.String())
		r.skips[reason] = append(r.skips[reason], e.Package+" "+e.Test)
	case "fail":
		t.outcome, t.elapsed = e.Action, e.Elapsed
		r.printf("--- FAIL: %s %s (%.1fs)", e.Package, e.Test, e.Elapsed)
		return true
	}
	return false
}

func (r *report) addToPackage(p *pkg, e event) bool {
	printed := true
	switch e.Action {
	case "output":
		p.output.WriteString(e.Output)
		return false
	case "pass":
		skipped := ""
		if p.skipped > 0 {
			skipped = fmt.Sprintf(", %d skipped", p.skipped)
		}
		r.printf("ok    %-32s %6.1fs  %d tests%s", e.Package, e.Elapsed, p.passed, skipped)
	case "fail":
		r.printf("FAIL  %-32s %6.1fs", e.Package, e.Elapsed)
		if e.FailedBuild == "" { // else it is a failure already
			r.addFailures(p, e.Package)
		}
	case "skip": // it has no tests
		printed = false
	default:
		return false
	}
	r.passed += p.passed
	delete(r.packages, e.Package)
	return printed
}

// addFailures notes the tests of a package that failed, and the end of the
// package itself if it crashed or none of its tests is to blame.
func (r *report) addFailures(p *pkg, path string) {
	whole, before := outputOf(p.output.String()), len(r.failures)
	log := r.keep(path, p.output.String())
	if whole.crash != nil {
		r.failures = append(r.failures, failure{path, log, output{lines: whole.crash, crash: whole.crash}})
	}
	for _, name := range slices.Sorted(maps.Keys(p.tests)) {
		t := p.tests[name]
		o := outputOf(t.output.String())
		partFailed := slices.ContainsFunc(slices.Collect(maps.Values(p.tests)), func(part *test) bool {
			return part.outcome == "fail" && strings.HasPrefix(part.name, name+"/")
		})
		if t.outcome != "fail" || len(o.key) == 0 && (partFailed || whole.crash != nil) {
			continue
		}
		r.failures = append(r.failures, failure{fmt.Sprintf("%s %s (%.1fs)", path, name, t.elapsed), log, o})
	}
	if len(r.failures) == before {
		r.failures = append(r.failures, failure{path, log, whole})
	}
}

// progress prints what runs, for those who wait.
func (r *report) progress(now time.Time) {
	var longest *test
	where, running := "", 0
	for path, p := range r.packages {
		for _, t := range p.tests {
			if t.outcome != "" || strings.Contains(t.name, "/") {
				continue
			}
			running++
			if longest == nil || t.started.Before(longest.started) {
				longest, where = t, path
			}
		}
	}
	what := "compiling"
	if longest != nil {
		what = fmt.Sprintf("%d tests run or wait, %s %s the longest", running, where, longest.name)
	}
	r.printf("      %v: %s", now.Sub(r.start).Round(time.Second), what)
}

func (r *report) printf(format string, args ...any) { fmt.Fprintf(r.out, format+"\n", args...) }
