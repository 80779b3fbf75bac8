//go:build !linux

package redistest

import "syscall"

// diesWithTest asks for nothing: only Linux can tie a child to its parent's
// life. Elsewhere a test process that is killed leaves its servers behind.
func diesWithTest() *syscall.SysProcAttr { return nil }
