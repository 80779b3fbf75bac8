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

// counted is a connection that its listener counts until it is closed, or
// taken over by a Parker.
type counted struct {
	net.Conn
	listener *Listener
	owner    *owner // guarded by listener.mu
	// idle is the listener's clock when the connection began to wait for a
	// request, or its header: since Accept, or since the last answer. 0: it serves a
	// request. closing: it is about to be closed.
	idle    atomic.Int64
	over    sync.Once
	read    bytes.Reader // comes before what the connection has
	framing framing
}

// closing is a value of counted.idle.
const closing = -1

// Read implements net.Conn.
func (c *counted) Read(b []byte) (n int, err error) {
	if c.read.Len() > 0 {
		n, err = c.read.Read(b)
	} else {
		n, err = c.Conn.Read(b)
	}
	c.framing.scan(b[:n])
	return n, err
}

// Close implements net.Conn.
func (c *counted) Close() error {
	c.over.Do(func() { c.leave().release() })
	return c.Conn.Close()
}

// CloseWrite is what net/http closes a connection with, so that its last
// answer is not reset away.
func (c *counted) CloseWrite() error {
	if t, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return t.CloseWrite()
	}
	return nil
}

// take keeps the connection counted when it is closed: releasing the owner is the
// caller's then. It returns nil if the connection is closed already.
func (c *counted) take() (o *owner) {
	c.over.Do(func() { o = c.leave() })
	return o
}

// serve is for a connection that the server gets. It is idle until a request's
// header has come.
func (c *counted) serve() {
	l := c.listener
	c.idle.Store(l.clock())
	l.mu.Lock()
	defer l.mu.Unlock()
	c.owner.conns[c] = struct{}{}
}

// leave is for a connection that the server has no more. The owner that is returned
// counts it; nothing that c does later changes that.
func (c *counted) leave() *owner {
	l := c.listener
	l.mu.Lock()
	defer l.mu.Unlock()
	o := c.owner
	delete(o.conns, c)
	c.owner = &l.anybody
	return o
}

// setIdle notes that an answer has ended.
func (c *counted) setIdle() {
	c.idle.CompareAndSwap(0, c.listener.clock())
}

// setBusy notes that a request's header has come.
func (c *counted) setBusy() {
	if since := c.idle.Load(); since > 0 {
		c.idle.CompareAndSwap(since, 0)
	}
}

// exempt takes the connection out of its address's limit.
func (c *counted) exempt() {
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
		l.anybody.conns[c] = struct{}{}
	}
	c.owner = &l.anybody
}

// countedKey is for a counted in the context of its requests.
type countedKey struct{}

func countedOf(ctx context.Context) *counted {
	c, _ := ctx.Value(countedKey{}).(*counted)
	return c
}

// Exempt takes the connection of a request, whose context ctx is, out of the
// limit of its address: it is a back end's, which speaks for many.
func Exempt(ctx context.Context) {
	if c := countedOf(ctx); c != nil {
		c.exempt()
	}
}

// ConfigureServer has s, which serves l, tell l which of its connections are idle, and
// refuse requests whose end is in doubt. Call it before s serves, with s.Handler
// set; it sets s.ConnState and s.ConnContext.
func (l *Listener) ConfigureServer(s *http.Server) {
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, countedKey{}, underneath(c))
	}
	s.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateIdle {
			if c := underneath(c); c != nil {
				c.setIdle()
			}
		}
	}
	handler := s.Handler
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c := countedOf(r.Context()); c != nil {
			c.setBusy()
			if c.framing.refuse(w, r) {
				return
			}
		}
		handler.ServeHTTP(w, r)
	})
}

// underneath is the counted connection of c, nil if it has none.
func underneath(c net.Conn) *counted {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	counted, _ := c.(*counted)
	return counted
}
