package testenv

import (
	"os/exec"
	"runtime"
)

// StartProcess starts command and returns a channel that is closed when it has
// ended and its output is complete; how it ended is in its ProcessState. On Linux
// it ends with this process, however that ends, and leads a process group.
//
// One thread starts the process and waits for it: Linux ends the child when the
// thread that started it does, not only when the process does
// (https://go.dev/issue/27505), and a locked thread stays.
func StartProcess(command *exec.Cmd) (end <-chan struct{}, err error) {
	tie(command)
	started, ended := make(chan error), make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := command.Start()
		started <- err
		if err == nil {
			_ = command.Wait()
		}
	}()
	return ended, <-started
}

// KillProcess kills what StartProcess started, frozen or not, and on Linux the
// processes that it started itself. It does not wait and may be called again.
func KillProcess(command *exec.Cmd) { killGroup(command) }
