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

// countedConn is a connection that its listener counts until it is closed, or detached
// by a Parker.
type countedConn struct {
	net.Conn
	listener *Listener
	owner    *addressConns // guarded by listener.mu
	// idle is the listener's clock at Accept, or at the end of the last answer, while
	// the connection waits for a request and its header. 0: it serves a request.
	// closing: it is about to be closed.
	idle    atomic.Int64
	once    sync.Once
	read    bytes.Reader // is read before Conn
	framing framing
}

// closing is a value of countedConn.idle.
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

// CloseWrite closes the sending half. net/http calls it before Close, so that a reset
// does not destroy the last answer.
func (c *countedConn) CloseWrite() error {
	if t, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return t.CloseWrite()
	}
	return nil
}

// detach keeps the connection counted when c is closed: the caller releases o later. It
// returns nil if c is closed already.
func (c *countedConn) detach() (o *addressConns) {
	c.once.Do(func() { o = c.uncount() })
	return o
}

// startServing notes that the server gets the connection. It is idle until the header of
// a request has come.
func (c *countedConn) startServing() {
	l := c.listener
	c.idle.Store(l.clock())
	l.mu.Lock()
	defer l.mu.Unlock()
	c.owner.conns[c] = struct{}{}
}

// uncount notes that the server does not have the connection any more. The returned
// addressConns still counts it, and c does not change that later.
func (c *countedConn) uncount() *addressConns {
	l := c.listener
	l.mu.Lock()
	defer l.mu.Unlock()
	o := c.owner
	delete(o.conns, c)
	c.owner = &l.unlimited
	return o
}

// setIdle notes the end of an answer.
func (c *countedConn) setIdle() {
	c.idle.CompareAndSwap(0, c.listener.clock())
}

// setBusy notes that the header of a request has come.
func (c *countedConn) setBusy() {
	if since := c.idle.Load(); since > 0 {
		c.idle.CompareAndSwap(since, 0)
	}
}

// exempt takes the connection out of the limit of its address.
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

// connKey is the key of a countedConn in the context of its requests.
type connKey struct{}

func connOf(ctx context.Context) *countedConn {
	c, _ := ctx.Value(connKey{}).(*countedConn)
	return c
}

// Exempt takes the connection of a request, which has the context ctx, out of the limit
// of its address. It is for trusted back ends, which act for many users.
func Exempt(ctx context.Context) {
	if c := connOf(ctx); c != nil {
		c.exempt()
	}
}

// ConfigureServer prepares s to serve l: l learns which connections are idle, and
// requests with an ambiguous end are refused. Set s.Handler before, and serve after. It
// sets s.ConnState and s.ConnContext, and wraps s.Handler.
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

// countedConnOf is the countedConn of c or under its TLS, nil if there is none.
func countedConnOf(c net.Conn) *countedConn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	counted, _ := c.(*countedConn)
	return counted
}
