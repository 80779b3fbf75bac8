package failure

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// buildComet builds the program, and returns where it is until t ends.
func buildComet(t testing.TB) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "comet")
	args := append(append([]string{"build"}, buildFlags...), "-o", binary, "comet/cmd/comet")
	if output, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Fatalf("build comet: %v\n%s", err, output)
	}
	return binary
}

// process is one run of comet.
type process struct {
	command *exec.Cmd
	ended   chan struct{} // closed when it has
}

// startProcess starts command. The kernel ends it with the thread that started
// it, and so with the test, however that ends; the thread waits for it.
func startProcess(command *exec.Cmd) (*process, error) {
	p := &process{command: command, ended: make(chan struct{})}
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	begun := make(chan error)
	go func() {
		defer close(p.ended)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := command.Start()
		begun <- err
		if err == nil {
			_ = command.Wait() // how it ended is in its log
		}
	}()
	return p, <-begun
}

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// signal sends s; a process that has ended does not hear it.
func (p *process) signal(s os.Signal) { _ = p.command.Process.Signal(s) }

// kill ends the process at once, frozen or not.
func (p *process) kill() {
	_ = p.command.Process.Kill()
	<-p.ended
}
