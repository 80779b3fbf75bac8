// Testrun runs `go test` and prints what a person wants to read: a line per
// package, then why tests were skipped, and last what failed, in at most 30 lines.
//
//	go run ./internal/testrun [-logs folder] -race ./... -- -race ./gateway -portable
//
// Arguments are those of `go test`; `--` begins those of a further run. The whole
// output of a package that failed is in a file of its own in the folder, and so
// is a dump of goroutines, which is printed nowhere else. The exit code is 1 if a
// test failed.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"time"
)

// silence is how long nothing may be printed before a line says what still runs.
const silence = 30 * time.Second

func main() {
	logs := flag.String("logs", "bin/test", "folder for the output of packages that failed")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: testrun [-logs folder] arguments of go test [-- further ones …]")
		flag.PrintDefaults()
	}
	own, arguments := splitOwn(os.Args[1:])
	_ = flag.CommandLine.Parse(own) // it exits on an error
	// Ctrl-C ends go test, which gets it too; this waits for it. (To ignore the
	// signal would have go test ignore it.)
	signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	r := newReport(os.Stdout, *logs, time.Now())
	for _, run := range splitRuns(arguments) {
		if err := goTest(r, run); err != nil {
			fmt.Fprintln(os.Stderr, "testrun:", err)
			os.Exit(1)
		}
	}
	if !r.finish(time.Now()) {
		os.Exit(1)
	}
}

// splitOwn takes testrun's own flag from the front of all arguments.
func splitOwn(all []string) (own, rest []string) {
	if len(all) > 1 && all[0] == "-logs" {
		return all[:2], all[2:]
	}
	if len(all) == 0 || all[0] == "-h" || all[0] == "-help" {
		return []string{"-help"}, nil
	}
	return nil, all
}

// splitRuns splits arguments at each `--`.
func splitRuns(arguments []string) (runs [][]string) {
	for {
		i := slices.Index(arguments, "--")
		if i < 0 {
			return append(runs, arguments)
		}
		runs, arguments = append(runs, arguments[:i]), arguments[i+1:]
	}
}

// goTest runs `go test -json` with arguments and feeds r with its events. An error
// means that go test could not run; what tests do is r's.
func goTest(r *report, arguments []string) error {
	command := exec.Command("go", append([]string{"test", "-json"}, arguments...)...)
	command.Stderr = os.Stderr
	out, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	r.begin()
	events := make(chan event)
	go func() { defer close(events); decode(out, events) }()
	follow(r, events)
	err = command.Wait()
	if err != nil && len(r.failures) == 0 { // as for flags that go test does not have
		return fmt.Errorf("go test: %w", err)
	}
	return nil
}

// follow feeds r until events is closed.
func follow(r *report, events <-chan event) {
	ticks := time.NewTicker(silence)
	defer ticks.Stop()
	for {
		select {
		case e, more := <-events:
			if !more {
				return
			}
			if r.add(e) {
				ticks.Reset(silence)
			}
		case now := <-ticks.C:
			r.progress(now)
		}
	}
}

// decode sends the events in out; a line that is not one is output of go itself.
func decode(out io.Reader, events chan<- event) {
	for lines := bufio.NewReader(out); ; {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil {
				e = event{Action: "build-output", Output: string(line)}
			}
			events <- e
		}
		if err != nil {
			return
		}
	}
}
