package conn

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// countedConn is a connection that its listener counts until it is closed, or
// taken over by a Parker.
type countedConn struct {
	net.Conn
	listener *Listener
	owner    *addressConns // guarded by listener.mu
	// idle is the listener's clock when the connection began to wait for a
	// request, or its header: since Accept, or since the last answer. 0: it serves a
	// request. closing: it is about to be closed.
	idle    atomic.Int64
	once    sync.Once
	read    bytes.Reader // comes before what the connection has
	framing framing
}

// closing is a value of counted.idle.
const closing = -1

// Read implements net.Conn.
func (c *countedConn) Read(b []byte) (n int, err error) {
	if c.read.Len() > 0 {
		n, err = c.read.Read(b)
	} else {
		n, err = c.Conn.Read(b)
	}
	c.framing.scan(b[:n])
	return n, err
}

// Close implements net.Conn.
func (c *countedConn) Close() error {
	c.once.Do(func() { c.uncount().release() })
	return c.Conn.Close()
}

// CloseWrite is what net/http closes a connection with, so that its last
// answer is not reset away.
func (c *countedConn) CloseWrite() error {
	if t, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return t.CloseWrite()
	}
	return nil
}

// detach keeps the connection counted when it is closed: releasing the owner is the
// caller's then. It returns nil if the connection is closed already.
func (c *countedConn) detach() (o *addressConns) {
	c.once.Do(func() { o = c.uncount() })
	return o
}

// startServing is for a connection that the server gets. It is idle until a request's
// header has come.
func (c *countedConn) startServing() {
	l := c.listener
	c.idle.Store(l.clock())
	l.mu.Lock()
	defer l.mu.Unlock()
	c.owner.conns[c] = struct{}{}
}

// uncount is for a connection that the server has no more. The owner that is returned
// counts it; nothing that c does later changes that.
func (c *countedConn) uncount() *addressConns {
	l := c.listener
	l.mu.Lock()
	defer l.mu.Unlock()
	o := c.owner
	delete(o.conns, c)
	c.owner = &l.unlimited
	return o
}

// setIdle notes that an answer has ended.
func (c *countedConn) setIdle() {
	c.idle.CompareAndSwap(0, c.listener.clock())
}

// setBusy notes that a request's header has come.
func (c *countedConn) setBusy() {
	if since := c.idle.Load(); since > 0 {
		c.idle.CompareAndSwap(since, 0)
	}
}

// exempt takes the connection out of its address's limit.
func (c *countedConn) exempt() {
	l := c.listener
	l.mu.Lock()
	defer l.mu.Unlock()
	o := c.owner
	if !o.address.IsValid() {
		return
	}
	if o.open--; o.open == 0 {
		delete(l.owners, o.address)
	}
	if _, served := o.conns[c]; served {
		delete(o.conns, c)
		l.unlimited.conns[c] = struct{}{}
	}
	c.owner = &l.unlimited
}

// connKey is for a counted in the context of its requests.
type connKey struct{}

func connOf(ctx context.Context) *countedConn {
	c, _ := ctx.Value(connKey{}).(*countedConn)
	return c
}

// Exempt takes the connection of a request, whose context ctx is, out of the
// limit of its address: it is a back end's, which speaks for many.
func Exempt(ctx context.Context) {
	if c := connOf(ctx); c != nil {
		c.exempt()
	}
}

// ConfigureServer has s, which serves l, tell l which of its connections are idle, and
// refuse requests whose end is in doubt. Call it before s serves, with s.Handler
// set; it sets s.ConnState and s.ConnContext.
func (l *Listener) ConfigureServer(s *http.Server) {
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, countedConnOf(c))
	}
	s.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateIdle {
			if c := countedConnOf(c); c != nil {
				c.setIdle()
			}
		}
	}
	handler := s.Handler
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c := connOf(r.Context()); c != nil {
			c.setBusy()
			if c.framing.refuse(w, r) {
				return
			}
		}
		handler.ServeHTTP(w, r)
	})
}

// countedConnOf is the counted connection of c, nil if it has none.
func countedConnOf(c net.Conn) *countedConn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	counted, _ := c.(*countedConn)
	return counted
}
