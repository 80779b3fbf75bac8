package redistest

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"

	"comet/internal/testenv"
)

const (
	// endTimeout is how long a process may take to leave when asked to.
	endTimeout = testenv.Patience
	askAgain   = 100 * time.Millisecond
)

// process is one run of a program, from its start to its end.
type process struct {
	cmd  *exec.Cmd
	done <-chan struct{} // closed when the process has ended
}

// startProcess runs binary until it ends or is ended; env is added to this
// process's environment, log takes all that it prints.
func startProcess(binary string, args, env []string, log *os.File) (*process, error) {
	p := &process{cmd: exec.Command(binary, args...)}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	var err error
	p.done, err = testenv.StartProcess(p.cmd)
	return p, err
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// kill ends the process at once, frozen or not, and waits until it is gone. It
// may have ended before. A child that writes its file of data ends with it, or
// that would be there after the next start.
func (p *process) kill() {
	testenv.KillProcess(p.cmd)
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
