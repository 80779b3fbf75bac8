//go:build unix

package conn

import (
	"math"

	"golang.org/x/sys/unix"
)

// DescriptorLimit is how many descriptors this process may have open. Go raises the soft
// limit to the hard one (https://pkg.go.dev/os, since Go 1.19).
func DescriptorLimit() int {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil || uint64(l.Cur) > math.MaxInt32 {
		return math.MaxInt32
	}
	return int(l.Cur)
}
