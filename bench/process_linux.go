package bench

import "syscall"

// diesWithParent: a group of its own, so that Ctrl-C reaches the parent alone,
// which then ends it; and killed if the parent dies.
func diesWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
