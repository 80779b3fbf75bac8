//go:build linux

// Comparison compares Comet with Nchan, the push module of nginx, on this
// machine. It starts both on loopback with a Redis of their own, runs the same
// loads against them in turn, and prints one Markdown table with the targets.
//
//	go run ./bench/comparison [-quick] [-only NAME] [-rounds N] [-comet PATH] [-json FILE]
//
// It needs redis-server, nginx and Nchan (Debian: apt-get install
// --no-install-recommends redis-server nginx libnginx-mod-nchan), a descriptor
// limit of 20,000 (ulimit -n), and a machine that does nothing else. The programs
// that it starts end with it, also on Ctrl-C.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
)

// Linux ends a child started with Pdeathsig when the thread that started it
// does (https://go.dev/issue/27505): every child is started by the main
// goroutine, on the main thread.
func init() { runtime.LockOSThread() }

type flags struct {
	quick  bool
	only   string
	rounds int
	comet  string
	json   string
}

func main() {
	// Also handle SIGPIPE: `comparison | head` must stop the servers and remove the files.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGPIPE)
	defer stop()
	err := command(ctx, os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "comparison:", err)
		stop()
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string) error {
	if len(args) == 2 && args[0] == bareCommand { // this binary again, see startBare
		signal.Ignore(syscall.SIGPIPE) // it writes to subscribers that have disconnected
		return serveBare(ctx, args[1])
	}
	var f flags
	set := flag.NewFlagSet("comparison", flag.ContinueOnError)
	set.BoolVar(&f.quick, "quick", false, "small loads, to see that everything works: the numbers mean little")
	set.StringVar(&f.only, "only", "", "run one scenario: "+strings.Join(scenarioNames(), ", "))
	set.IntVar(&f.rounds, "rounds", 3, "how often each measurement is made; the table has the medians")
	set.StringVar(&f.comet, "comet", "", "the comet binary; default: built from the module of the working directory")
	set.StringVar(&f.json, "json", "", "file for every measurement, a JSON object a line")
	if err := set.Parse(args); err != nil {
		return err
	}
	chosen, err := choose(f.only)
	if err != nil {
		return err
	}
	if f.rounds < 1 {
		return errors.New("-rounds must be at least 1")
	}
	return compare(ctx, f, chosen)
}

// compare measures and prints the table, after an error with the results so far.
func compare(ctx context.Context, f flags, chosen []scenario) (err error) {
	var raw io.Writer = io.Discard
	if f.json != "" {
		file, err := os.Create(f.json)
		if err != nil {
			return err
		}
		defer file.Close()
		raw = file
	}
	lab, err := openLab(ctx, f.comet)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lab.close()) }()
	all := make(measurements)
	for _, s := range chosen {
		if err = measure(ctx, lab, s, f, all, raw); err != nil {
			break
		}
	}
	writeTable(os.Stdout, chosen, all)
	if f.quick {
		fmt.Println("\nA quick run with a tenth of the subscribers: it shows only that everything works.")
	}
	return err
}
