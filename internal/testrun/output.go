package main

import (
	"regexp"
	"slices"
	"strings"
)

// output is what a test or a package printed.
type output struct {
	lines []string // without those of the testing package, and without the crash
	key   []string // of lines, those of t.Error, t.Fatal and t.Log, and both sides of a race
	crash []string // a panic, without most goroutines
}

var (
	ofTesting = regexp.MustCompile(`^\s*(=== |--- (PASS|FAIL|SKIP): |PASS$|FAIL$|FAIL\t|exit status )`)
	ofTest    = regexp.MustCompile(`^ +[\w.-]+\.go:\d+: `)
	crashes   = regexp.MustCompile(`^(panic: |fatal error: |SIG[A-Z]+: |unexpected fault)`)
	goroutine = regexp.MustCompile(`^goroutine \d+ `)
)

const (
	crashLines = 16 // of the goroutine that panicked
	raceLines  = 7  // of a race: both accesses
	moreLines  = 3  // of one report, after its first line: it may be a server's log
)

func outputOf(text string) (o output) {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if i := slices.IndexFunc(all, crashes.MatchString); i >= 0 {
		o.crash = crashOf(all[i:])
		all = all[:i]
	}
	more, race := 0, 0
	for _, line := range all {
		if line == "" || ofTesting.MatchString(line) {
			continue
		}
		o.lines = append(o.lines, line)
		switch {
		case ofTest.MatchString(line):
			more = moreLines + 1
		case line == "WARNING: DATA RACE":
			race = raceLines
		case !strings.HasPrefix(line, "        "):
			more = 0
		}
		if more > 0 || race > 0 {
			o.key = append(o.key, line)
		}
		more, race = more-1, race-1
	}
	return o
}

// crashOf is a crash to the end of its first goroutine. If the time was up, that
// goroutine is a timer's, and what matters is which tests ran: they are one line.
func crashOf(lines []string) []string {
	end := slices.IndexFunc(lines, goroutine.MatchString)
	if end < 0 {
		end = len(lines)
	}
	if strings.Contains(lines[0], "test timed out") {
		return []string{strings.Join(strings.Fields(strings.Join(lines[:end], " ")), " ")}
	}
	stack := lines[end:min(len(lines), end+crashLines)]
	if i := slices.Index(stack, ""); i >= 0 {
		stack = stack[:i]
	}
	return slices.DeleteFunc(slices.Concat(lines[:end], stack), func(line string) bool { return line == "" || ofTesting.MatchString(line) })
}

// skipReason is what a test said when it skipped.
func skipReason(text string) string {
	for line := range strings.Lines(text) {
		if where := ofTest.FindString(line); where != "" {
			return strings.TrimSpace(strings.TrimPrefix(line, where))
		}
	}
	return "no reason given"
}
