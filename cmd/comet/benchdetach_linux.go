package main

import (
	"os/exec"
	"syscall"
)

// detach puts the child into a process group of its own, so that Ctrl-C does
// not end it before this process is done with it. Linux kills the child when
// this process ends.
func detach(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
