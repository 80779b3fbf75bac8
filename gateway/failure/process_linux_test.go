package failure

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"comet/internal/testenv"
)

// buildComet builds the program and returns its path. t's cleanup removes it.
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
	ended   <-chan struct{} // closed at its end
}

func startProcess(command *exec.Cmd) (*process, error) {
	ended, err := testenv.StartProcess(command)
	return &process{command, ended}, err
}

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// signal sends s. It does nothing after the process has ended.
func (p *process) signal(s os.Signal) { _ = p.command.Process.Signal(s) }

// kill ends the process at once, frozen or not.
func (p *process) kill() {
	_ = p.command.Process.Kill()
	<-p.ended
}
