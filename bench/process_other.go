//go:build !linux

package bench

import "syscall"

// diesWithParent: it leaves at the end of its input, which comes with the
// parent's end.
func diesWithParent() *syscall.SysProcAttr { return nil }
