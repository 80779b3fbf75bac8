//go:build unix

package redistest

import "syscall"

// freeze stops the process where it stands: its sockets stay open and the
// kernel goes on taking connections for it, but nothing is answered.
func (p *process) freeze() error { return p.cmd.Process.Signal(syscall.SIGSTOP) }

// thaw lets a frozen process go on.
func (p *process) thaw() error { return p.cmd.Process.Signal(syscall.SIGCONT) }
