package conn

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// takeOver returns a new descriptor of the connection, so that the connection itself
// can be closed: without its net.Conn and entry in Go's poller a parked stream is
// about 1 KiB smaller. The returned addressConns, if any, keeps counting it.
func takeOver(connection net.Conn) (fd int32, owner *addressConns, err error) {
	c, isCounted := connection.(*countedConn)
	if isCounted {
		connection = c.Conn
	}
	if fd, err = duplicate(connection); err != nil {
		return 0, nil, err
	}
	// Finds a client that has vanished while data is unacknowledged; heartbeats find
	// it on a quiet stream. It fails, without harm, for other than TCP.
	_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(writeTimeout.Milliseconds()))
	if isCounted {
		if owner = c.detach(); owner == nil {
			_ = unix.Close(int(fd))
			return 0, nil, net.ErrClosed
		}
	}
	return fd, owner, nil
}

// duplicate returns a new descriptor of the connection.
func duplicate(connection net.Conn) (fd int32, err error) {
	c, ok := connection.(syscall.Conn)
	if !ok {
		return 0, fmt.Errorf("%T has no descriptor", connection)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	dupErr := raw.Control(func(original uintptr) {
		var n int
		n, err = unix.FcntlInt(original, unix.F_DUPFD_CLOEXEC, 0)
		fd = int32(n)
	})
	return fd, errors.Join(dupErr, err)
}
