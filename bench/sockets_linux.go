package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// sockets are the connections of an event loop, in an epoll set. All methods but
// wake belong to one goroutine.
type sockets struct {
	source netip.Addr // source address of connections to loopback; zero: any
	epoll  int
	wakeFD int // an eventfd, see wake
	events []unix.EpollEvent
	ready  []readiness
	buffer []byte

	mu     sync.Mutex // of wake and close
	closed bool
}

// readiness names a connection that is ready, by the caller's index. The
// generation distinguishes it from earlier connections with the same index.
type readiness struct{ index, generation int32 }

// errAgain is returned by read if there is nothing to read.
var errAgain error = unix.EAGAIN

const bellIndex = -1

func openSockets(source netip.Addr) (*sockets, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create: %w", err)
	}
	s := &sockets{source: source, epoll: epoll, wakeFD: -1, events: make([]unix.EpollEvent, 512), buffer: make([]byte, 256<<10)}
	if s.wakeFD, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		s.close()
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	if err := s.control(unix.EPOLL_CTL_ADD, s.wakeFD, unix.EPOLLIN, readiness{index: bellIndex}); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// close does not close the connections.
func (s *sockets) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	unix.Close(s.epoll)
	if s.wakeFD >= 0 {
		unix.Close(s.wakeFD)
	}
}

// wake makes wait return. It may be called from any goroutine, after close too.
func (s *sockets) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	_, _ = unix.Write(s.wakeFD, one[:]) // a full counter also wakes
}

// wait returns the ready connections, at the latest after timeout. The slice is
// valid until the next call.
func (s *sockets) wait(timeout time.Duration) ([]readiness, error) {
	n, err := unix.EpollWait(s.epoll, s.events, int((timeout + time.Millisecond - 1).Milliseconds()))
	if err != nil && !errors.Is(err, unix.EINTR) {
		return nil, fmt.Errorf("epoll_wait: %w", err)
	}
	s.ready = s.ready[:0]
	for _, e := range s.events[:max(n, 0)] {
		if e.Fd == bellIndex {
			_, _ = unix.Read(s.wakeFD, s.buffer[:8])
			continue
		}
		s.ready = append(s.ready, readiness{e.Fd, e.Pad})
	}
	return s.ready, nil
}

// control changes the epoll set. The event of fd carries r.
func (s *sockets) control(operation, fd int, events uint32, r readiness) error {
	if err := unix.EpollCtl(s.epoll, operation, fd, &unix.EpollEvent{Events: events, Fd: r.index, Pad: r.generation}); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

// dial begins a connection. If connected is false, r becomes ready when the
// connection succeeded or failed: see connected.
func (s *sockets) dial(to netip.AddrPort, r readiness) (fd int32, connected bool, err error) {
	domain := unix.AF_INET
	if to.Addr().Is6() {
		domain = unix.AF_INET6
	}
	n, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, false, err
	}
	if connected, err = s.connect(n, to, r); err != nil {
		unix.Close(n)
		return -1, false, err
	}
	return int32(n), connected, nil
}

func (s *sockets) connect(fd int, to netip.AddrPort, r readiness) (connected bool, err error) {
	if s.source.Is4() && to.Addr().Is4() && to.Addr().IsLoopback() {
		// Without this option, bind would reserve a port exclusively.
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
			return false, err
		}
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: s.source.As4()}); err != nil {
			return false, err
		}
	}
	// Close with a reset: thousands of connections in TIME_WAIT would burden the
	// next run.
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return false, err
	}
	err = unix.Connect(fd, socketAddress(to))
	switch {
	case err == nil:
		return true, s.control(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN, r)
	case errors.Is(err, unix.EINPROGRESS) || errors.Is(err, unix.EINTR):
		return false, s.control(unix.EPOLL_CTL_ADD, fd, unix.EPOLLOUT, r)
	}
	return false, err
}

func socketAddress(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// connected returns the outcome of dial's connection. After success r becomes
// ready when there is something to read.
func (s *sockets) connected(fd int32, r readiness) error {
	number, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	if number != 0 {
		return unix.Errno(number)
	}
	return s.control(unix.EPOLL_CTL_MOD, int(fd), unix.EPOLLIN, r)
}

// write writes a request. The socket is full only if the server has not read
// earlier requests.
func (s *sockets) write(fd int32, b []byte) error {
	n, err := unix.Write(int(fd), b)
	if err == nil && n < len(b) || errors.Is(err, unix.EAGAIN) {
		return unix.ETIMEDOUT
	}
	return err
}

// read reads once. If there is more to read, wait returns the connection again.
// The bytes are valid until the next call. At the end of the connection it returns
// io.EOF.
func (s *sockets) read(fd int32) ([]byte, error) {
	n, err := unix.Read(int(fd), s.buffer)
	switch {
	case errors.Is(err, unix.EINTR):
		return nil, errAgain
	case err != nil:
		return nil, err
	case n == 0:
		return nil, io.EOF
	}
	return s.buffer[:n], nil
}

func (s *sockets) hangUp(fd int32) { unix.Close(int(fd)) }
