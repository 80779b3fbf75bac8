package redistest

import "syscall"

// diesWithTest makes the kernel kill the child when the test's process ends in
// a way that runs no cleanup: a timeout's panic, os.Exit, a kill.
func diesWithTest() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
