package redistest

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

const (
	// endTimeout is how long a process may take to leave when asked to.
	endTimeout = 20 * time.Second
	askAgain   = 100 * time.Millisecond
)

// process is one run of a program, from its start to its end.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed by run when the process has ended
}

// startProcess runs binary until it ends or is ended; env is added to this
// process's environment, log takes all that it prints.
func startProcess(binary string, args, env []string, log *os.File) (*process, error) {
	p := &process{cmd: exec.Command(binary, args...), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = diesWithTest()
	started := make(chan error)
	go p.run(started)
	return p, <-started
}

// run starts the process and waits for it, all on one thread: Linux ends the
// child when the thread that started it does, not only when the process does
// (https://go.dev/issue/27505), and a locked thread stays.
func (p *process) run(started chan<- error) {
	defer close(p.done)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err == nil {
		p.cmd.Wait() // how it ended is in its log
	}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// kill ends the process at once, frozen or not, and waits until it is gone. It
// may have ended before.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.done
}

// stop asks the process to leave and waits until it is gone. It asks again and
// again: while Redis writes its first append-only file it declines.
func (p *process) stop() error {
	deadline := time.After(endTimeout)
	tick := time.NewTicker(askAgain)
	defer tick.Stop()
	for {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		select {
		case <-p.done:
			return nil
		case <-tick.C:
		case <-deadline:
			return errors.New("still there " + endTimeout.String() + " after SIGTERM")
		}
	}
}
