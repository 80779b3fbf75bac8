package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The printed part of failures: first most of their output, last a summary that
// is seen without scrolling.
const (
	outputLines  = 100 // of a failure
	summaryLines = 26  // of all failures together
	lineWidth    = 300
)

// keep writes the whole output of a package to a file and returns its name.
func (r *report) keep(path, text string) string {
	name := filepath.Join(r.logs, fmt.Sprintf("%s.%d.log", strings.ReplaceAll(path, "/", "_"), r.run))
	err := os.MkdirAll(r.logs, 0o777)
	if err == nil {
		err = os.WriteFile(name, []byte(text), 0o666)
	}
	if err != nil {
		return err.Error()
	}
	return name
}

// finish prints what matters of all runs and reports whether nothing failed.
func (r *report) finish(now time.Time) bool {
	for _, f := range r.failures {
		r.printf("\n=== %s", f.title)
		if n := len(f.lines) - outputLines; n > 0 {
			r.printf("(the first %d lines are in %s)", n, f.log)
		}
		r.printLines(last(f.lines, outputLines))
	}
	r.printSkips()
	took := now.Sub(r.start).Round(time.Second)
	if len(r.failures) == 0 {
		r.printf("\nok: %d tests passed in %v", r.passed, took)
		return true
	}
	r.printf("\nFAILED: %d, and %d tests passed in %v. All output of what failed is in %s.", len(r.failures), r.passed, took, r.logs)
	r.printSummary()
	return false
}

func (r *report) printSkips() {
	for _, reason := range slices.Sorted(maps.Keys(r.skips)) {
		tests := r.skips[reason]
		r.printf("\nskipped %d, %s", len(tests), reason)
		for _, test := range tests {
			r.printf("    %s", test)
		}
	}
}

// printSummary gives each failure its share of summaryLines: how a crash begins,
// what a test reported first (its cleanup reports later), or what it printed last.
func (r *report) printSummary() {
	free := summaryLines
	for i, f := range r.failures {
		if free == 1 && i < len(r.failures)-1 {
			r.printf("and %d more, above", len(r.failures)-i)
			return
		}
		share := max(0, free/(len(r.failures)-i)-1)
		lines := last(f.lines, share)
		if f.crash != nil {
			lines = f.crash[:min(len(f.crash), share)]
		} else if len(f.key) > 0 {
			lines = f.key[:min(len(f.key), share)]
		}
		r.printf("%s", f.title)
		r.printLines(lines)
		free -= 1 + len(lines)
	}
}

func (r *report) printLines(lines []string) {
	for _, line := range lines {
		if len(line) > lineWidth {
			line = strings.ToValidUTF8(line[:lineWidth], "") + "…"
		}
		r.printf("%s", line)
	}
}

// last is the last n lines.
func last(lines []string, n int) []string { return lines[max(0, len(lines)-n):] }
