package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"comet/internal/servertest"
	"comet/internal/testenv"
)

// openTerminal returns both ends of a new terminal: what a person types and reads, and
// what a program has as its standard streams.
func openTerminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return person, program
}

// TestTerminalNotices: on a terminal subscribe says that it is connected, and publish
// that it waits for lines.
func TestTerminalNotices(t *testing.T) {
	t.Parallel()
	_, url := startNode(t)
	for args, want := range map[string]string{
		"subscribe news": `comet: connected, waiting for messages of news`,
		"publish news":   `comet: each line that you type is published`,
	} {
		person, program := openTerminal(t)
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		c := exec.Command(self, append(strings.Fields(args), "--url", url)...)
		c.Env, c.Stdin, c.Stdout, c.Stderr = cleanEnviron(), program, program, program
		ended, err := testenv.StartProcess(c)
		if err != nil {
			t.Fatal(err)
		}
		shown := servertest.NewOutput()
		reading := make(chan struct{})
		go func() {
			defer close(reading)
			buffer := make([]byte, 1<<10)
			for {
				n, err := person.Read(buffer)
				_, _ = shown.Write(buffer[:n])
				if err != nil {
					return // the program has ended
				}
			}
		}()
		shown.Await(t, want, ended)
		testenv.KillProcess(c)
		<-ended
		program.Close()
		<-reading
	}
}
