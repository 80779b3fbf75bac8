package loadtest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// arriving is how many subscribers may be on their way in at a time: it
	// keeps the server busy and its accept queue from overflowing.
	arriving = 128
	// perAddress is how many connections come from one source address, a few
	// less than Linux has ephemeral ports (net.ipv4.ip_local_port_range).
	perAddress     = 28_000
	connectTimeout = 10 * time.Second
	// patrol is how often run looks at its context while nothing comes.
	patrol = 50 * time.Millisecond
)

// connections is what run needs of the system.
type connections struct {
	epoll   int
	address unix.SockaddrInet4
	events  []unix.EpollEvent
	buffer  []byte
	request []byte
}

func (c *connections) open() (err error) {
	c.events = make([]unix.EpollEvent, 512)
	c.buffer = make([]byte, 256<<10)
	c.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	return err
}

// run lets the subscribers in once the gate is open and reads what comes, until
// ctx ends.
func (s *swarm) run(ctx context.Context) error {
	defer s.close()
	s.address = unix.SockaddrInet4{Port: int(s.options.Address.Port()), Addr: s.options.Address.Addr().As4()}
	select {
	case <-s.gate:
	case <-ctx.Done():
		return nil
	}
	for ctx.Err() == nil {
		for s.opened < len(s.subscribers) && s.opened-s.in < arriving {
			if err := s.connect(s.opened); err != nil {
				return err
			}
		}
		n, err := unix.EpollWait(s.epoll, s.events, int(patrol.Milliseconds()))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("epoll_wait: %w", err)
		}
		for _, e := range s.events[:max(n, 0)] {
			if err := s.read(&s.subscribers[e.Fd]); err != nil {
				return err
			}
		}
	}
	return nil
}

// connect opens subscriber i's connection and sends its first request.
func (s *swarm) connect(i int) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("subscriber %d: %w (see ulimit -n)", i, err)
	}
	sub := &s.subscribers[i]
	sub.fd = fd
	s.opened++ // so close closes it
	if err := s.dial(fd, i); err != nil {
		return fmt.Errorf("subscriber %d: connect to %s: %w", i, s.options.Address, err)
	}
	// The event's Fd is the index: the descriptor itself is in the subscriber.
	if err := unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return s.send(sub, s.first(sub.channel))
}

func (s *swarm) dial(fd, i int) error {
	if s.options.Address.Addr().IsLoopback() {
		source := unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(2 + i/perAddress)}}
		// Without it bind would take a port for itself alone.
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
			return err
		}
		if err := unix.Bind(fd, &source); err != nil {
			return err
		}
	}
	// Close with a reset: thousands of connections in TIME_WAIT would be a load
	// on the next run.
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return err
	}
	if err := unix.Connect(fd, &s.address); !errors.Is(err, unix.EINPROGRESS) {
		return err
	}
	return awaitConnect(fd)
}

// awaitConnect waits until fd is connected, on loopback no time at all: the
// server's accept queue has room, see arriving.
func awaitConnect(fd int) error {
	n, err := 0, error(unix.EINTR) // a signal of Go's scheduler
	for errors.Is(err, unix.EINTR) {
		n, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, int(connectTimeout.Milliseconds()))
	}
	if err != nil {
		return err
	}
	if n == 0 {
		return unix.ETIMEDOUT
	}
	number, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && number != 0 {
		err = unix.Errno(number)
	}
	return err
}

// send writes a request. A server that has not read the one before would be
// the only reason for a full socket.
func (s *swarm) send(sub *subscriber, p Poll) error {
	s.request = s.appendRequest(s.request[:0], p)
	n, err := unix.Write(sub.fd, s.request)
	switch {
	case errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET):
		return nil // the next read tells
	case err != nil:
		return fmt.Errorf("send a request: %w", err)
	case n < len(s.request):
		return errors.New("send a request: the server does not read")
	}
	return nil
}

// read reads once; epoll tells if there is more.
func (s *swarm) read(sub *subscriber) error {
	n, err := unix.Read(sub.fd, s.buffer)
	v := visit{swarm: s, subscriber: sub, at: s.clock.now()}
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		return nil
	case err == nil && n > 0:
		return sub.response.feed(s.buffer[:n], v)
	}
	sub.closed = true
	if err := unix.EpollCtl(s.epoll, unix.EPOLL_CTL_DEL, sub.fd, nil); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	if !sub.in {
		return fmt.Errorf("subscribe to %q: the server closed the connection", sub.channel)
	}
	return nil
}

// close closes every connection.
func (s *swarm) close() {
	for i := range s.subscribers[:s.opened] {
		unix.Close(s.subscribers[i].fd)
	}
	unix.Close(s.epoll)
}
