//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// endTimeout is how long a process may take to end after SIGTERM.
const endTimeout = 15 * time.Second

// process is one run of a program that comparison started.
type process struct {
	cmd  *exec.Cmd
	log  string        // path of what it printed
	done chan struct{} // closed when it has ended and was waited for
}

// startProcess starts a program, on the main goroutine. The program has a process
// group of its own, so that Ctrl-C reaches only comparison, which then ends it. It
// gets a signal to end if comparison dies.
func startProcess(log, program string, args ...string) (*process, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer file.Close() // the child has its own descriptor
	p := &process{cmd: exec.Command(program, args...), log: log, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = file, file
	p.cmd.Env = environment()
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(program), err)
	}
	go func() {
		defer close(p.done) // stop waits for it
		p.cmd.Wait()        // its log has the reason of its end
	}()
	return p, nil
}

// environment returns our environment without Comet's settings: the measured node has the defaults.
func environment() (env []string) {
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "COMET_") {
			env = append(env, variable)
		}
	}
	return env
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// stop ends the process and waits for its end. It may have ended already.
func (p *process) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(endTimeout):
		syscall.Kill(-p.pid(), syscall.SIGKILL) // the group: not waited for, so the number is still its own
		<-p.done
	}
}

// explain adds the end of the process's log to err.
func (p *process) explain(err error) error {
	text, _ := os.ReadFile(p.log)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return fmt.Errorf("%w\nthe end of its log:\n%s", err, strings.Join(lines[max(0, len(lines)-10):], "\n"))
}
