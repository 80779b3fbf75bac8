package conn

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// takeOver returns a descriptor of the connection that is ours alone; the
// connection itself can be closed. Without its net.Conn and Go's own poller
// entry a parked stream is about 1 KiB smaller. Its owner, if any, goes on
// counting the connection.
func takeOver(connection net.Conn) (fd int32, o *addressConns, err error) {
	c, isCounted := connection.(*countedConn)
	if isCounted {
		connection = c.Conn
	}
	if fd, err = duplicate(connection); err != nil {
		return 0, nil, err
	}
	// A peer that has vanished while something is to be sent; an idle one is
	// found by the heartbeats. Not for other than TCP, which then says no.
	_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(writeTimeout.Milliseconds()))
	if isCounted {
		if o = c.detach(); o == nil {
			_ = unix.Close(int(fd))
			return 0, nil, net.ErrClosed
		}
	}
	return fd, o, nil
}

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
