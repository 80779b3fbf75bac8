package conn

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system calls of a writer on sockets never wait. So they are made without telling
// Go's scheduler, which would watch each of them, give the processor away on a busy
// machine, and wake threads for that: a seventh of the CPU of a node that answers polls
// (docs/benchmarks.md).

// writeNow writes what a socket takes of b.
func writeNow(fd int, b []byte) (n int, err error) {
	return call(unix.SYS_SENDTO, fd, b, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
}

// readNow reads what has come on a socket.
func readNow(fd int, b []byte) (n int, err error) {
	return call(unix.SYS_RECVFROM, fd, b, unix.MSG_DONTWAIT)
}

func call(number uintptr, fd int, b []byte, flags uintptr) (n int, err error) {
	done, _, errno := unix.RawSyscall6(number, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), flags, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(done), nil
}

// epollNow returns the number of events that there are now, at most len(events).
func epollNow(fd uintptr, events []unix.EpollEvent) int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, fd, uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}
