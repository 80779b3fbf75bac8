package bench

import (
	"fmt"
	"math"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// descriptorLimit returns the number of descriptors that this process may have.
// Go raised the soft limit to the hard one at the start (https://pkg.go.dev/os).
func descriptorLimit() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > math.MaxInt32 {
		return math.MaxInt32
	}
	return int(limit.Cur)
}

// portRange returns the number of connections that one address may have to
// another (ip_local_port_range of ip(7)).
func portRange() int {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	var low, high int
	if err == nil {
		_, err = fmt.Sscan(string(text), &low, &high)
	}
	if err != nil {
		return 28_000 // the default of Linux
	}
	return high - low + 1
}

// threadCPU returns the CPU time of the calling thread.
func threadCPU() time.Duration { return cpuTime(unix.RUSAGE_THREAD) }

// processCPU returns the CPU time of this process.
func processCPU() time.Duration { return cpuTime(unix.RUSAGE_SELF) }

func cpuTime(who int) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(who, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
