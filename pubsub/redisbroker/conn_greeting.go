package redisbroker

import (
	"bytes"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// GreetingError reports that Redis answered a new connection with an error and closed
// it, as in protected mode (DENIED) and beyond maxclients. No command on the connection
// was carried out.
type GreetingError struct {
	Said string // the error of Redis, without the leading "-"
	Err  error  // the error with which the connection ended
}

func (e *GreetingError) Error() string { return "redis refused the connection: " + e.Said }

func (e *GreetingError) Unwrap() error { return e.Err }

func isGreeting(err error) bool {
	_, ok := errors.AsType[*GreetingError](err)
	return ok
}

// maxGreeting is the maximum number of bytes quoted from Redis.
const maxGreeting = 120

// conn is a connection to Redis. It keeps an error that is the first answer, to explain
// an end of the connection right after it: go-redis writes several commands before it
// reads, and would report a broken pipe.
type conn struct {
	net.Conn
	dialer *dialer
	began  atomic.Bool            // an answer other than an error at the start was read
	said   atomic.Pointer[string] // the error at the start
}

// plainConn is a conn without TLS. go-redis checks its socket before it uses the
// connection again.
type plainConn struct{ *conn }

func (c plainConn) SyscallConn() (syscall.RawConn, error) {
	s, ok := c.conn.Conn.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return s.SyscallConn()
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && !c.began.Load() {
		c.note(b[:n])
	}
	return n, c.explain(err)
}

func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if err != nil && !c.began.Load() && c.said.Load() == nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.readGreeting()
	}
	return n, c.explain(err)
}

// Close closes the connection. After dialer.shut it does nothing.
func (c *conn) Close() error {
	c.dialer.mu.Lock()
	_, open := c.dialer.open[c]
	delete(c.dialer.open, c)
	c.dialer.mu.Unlock()
	if !open {
		return nil
	}
	return c.Conn.Close()
}

// note examines the first bytes read, until it is known how the connection starts.
func (c *conn) note(b []byte) {
	if b[0] != '-' || c.said.Load() != nil {
		c.began.Store(true) // an answer came after the error: the connection goes on
		return
	}
	line, _, _ := bytes.Cut(b[1:], []byte("\r\n"))
	line, _, _ = bytes.Cut(line, []byte(". ")) // DENIED continues with advice
	said := string(line[:min(len(line), maxGreeting)])
	c.said.Store(&said)
}

// readGreeting reads the error that Redis sent before it closed the connection.
func (c *conn) readGreeting() {
	const wait = 50 * time.Millisecond // it has arrived already
	_ = c.Conn.SetReadDeadline(time.Now().Add(wait))
	b := make([]byte, 1024)
	if n, _ := c.Conn.Read(b); n > 0 {
		c.note(b[:n])
	}
}

// explain wraps an error with which the connection ended in a GreetingError, if Redis
// sent one at the start.
func (c *conn) explain(err error) error {
	if err == nil || c.began.Load() || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
		return err
	}
	if said := c.said.Load(); said != nil {
		return &GreetingError{*said, err}
	}
	return err
}
