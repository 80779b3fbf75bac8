package main

import (
	"os/exec"
	"syscall"
)

// setApart keeps Ctrl-C from a child, which it would otherwise end before this
// process is done with it, and lets the child not outlive this process.
func setApart(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
