package conn

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Listener is a net.Listener that counts its connections and refuses, with an
// answer, what would be more than the process has descriptors for. A server
// serves both it and its Back.
type Listener struct {
	net.Listener
	limit   int64
	open    atomic.Int64 // accepted or parked
	refused refused
	atDoor  func(*counted) bool // Parker.Guard's; reports whether the connection is no more the server's
	back    back
	polite  chan struct{}  // holds a token for each refusal under way
	busy    sync.WaitGroup // refusals
}

// Listen wraps l. limit is how many connections there may be at a time.
func Listen(l net.Listener, limit int, logger *slog.Logger) *Listener {
	w := &Listener{Listener: l, limit: int64(limit), polite: make(chan struct{}, maxPolite)}
	w.refused.logger = logger.With("connections", limit)
	w.back = back{Listener: l, conns: make(chan net.Conn), closed: make(chan struct{})}
	return w
}

// Close implements net.Listener. It waits for refusals under way.
func (l *Listener) Close() error {
	err := l.Listener.Close()
	l.busy.Wait()
	l.refused.stop()
	return err
}

// Open is how many connections there are.
func (l *Listener) Open() int64 { return l.open.Load() }

// Limit is how many connections there may be.
func (l *Listener) Limit() int64 { return l.limit }

// ListenerStats is what a Listener counts.
type ListenerStats struct {
	Open    int64 // connections at the moment, parked ones too
	Refused int64 // connections since the start, at the limit
}

// Stats may be called at any time, also after Close.
func (l *Listener) Stats() ListenerStats {
	return ListenerStats{Open: l.open.Load(), Refused: l.refused.count()}
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		switch {
		case err != nil:
			return nil, err
		case l.open.Load() < l.limit:
			l.open.Add(1)
			if given := (&counted{Conn: c, listener: l}); l.atDoor == nil || !l.atDoor(given) {
				return given, nil
			}
		default:
			l.refuse(c)
		}
	}
}

// Back is where connections come that were parked and have another request.
func (l *Listener) Back() net.Listener { return &l.back }

// back is Listener.Back; it has the address of the listener it belongs to.
type back struct {
	net.Listener
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// Accept implements net.Listener.
func (b *back) Accept() (net.Conn, error) {
	select {
	case c := <-b.conns:
		return c, nil
	case <-b.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (b *back) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

var refusal = func() []byte {
	const body = `{"type":"urn:comet:problem:too-many-connections","title":"Too many connections","status":503,` +
		`"detail":"This node has as many connections as its descriptor limit allows (ulimit -n): come back later, or to another node."}` + "\n"
	return fmt.Appendf(nil, "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"+
		"Content-Length: %d\r\nRetry-After: 5\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n%s", len(body), body)
}()

// A refusal takes a descriptor, so there are at most so many at a time, each
// for at most so long. Beyond that none is waited for.
const (
	maxPolite  = 16
	refuseTime = time.Second
)

// refuse answers. It does not block.
func (l *Listener) refuse(c net.Conn) {
	l.refused.add()
	select {
	case l.polite <- struct{}{}:
		l.busy.Go(func() {
			l.answerRefusal(c)
			<-l.polite
		})
	default:
		_ = c.SetDeadline(time.Now().Add(refuseTime))
		_, _ = c.Write(refusal) // a new connection's buffer takes it at once
		c.Close()
	}
}

// answerRefusal waits for the request, because many clients take an answer
// that comes before it for none, and then for the client to go, because what it
// still sends to a closed connection would reset the answer away.
func (l *Listener) answerRefusal(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(refuseTime))
	var request [4 << 10]byte
	if _, err := c.Read(request[:]); err != nil {
		return
	}
	if _, err := c.Write(refusal); err != nil {
		return
	}
	if t, ok := c.(interface{ CloseWrite() error }); ok {
		_ = t.CloseWrite()
	}
	_, _ = io.Copy(io.Discard, c)
}

// refusedEvery is the time between two log lines about refusals.
const refusedEvery = time.Minute

// refused counts refusals and logs them: the first one at once, because an
// operator may act, and then once a minute how many there were meanwhile, if
// any, because a crowd that comes back every few seconds would fill the log.
type refused struct {
	logger *slog.Logger
	mu     sync.Mutex
	total  int64
	logged int64       // of total, in the lines so far
	timer  *time.Timer // runs after a line for as long as there must be no other; else nil
}

func (r *refused) count() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total
}

func (r *refused) add() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total++
	if r.timer == nil {
		r.log()
	}
}

// log is called with mu held.
func (r *refused) log() {
	r.logger.Warn("refusing connections: the descriptor limit is reached, see ulimit -n", "refused", r.total-r.logged)
	r.logged = r.total
	r.timer = time.AfterFunc(refusedEvery, r.timeOver)
}

func (r *refused) timeOver() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.timer = nil
	if r.total > r.logged {
		r.log()
	}
}

// stop drops the line that is due, if one is.
func (r *refused) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.logged = r.total // for a timeOver that waits for mu
	if r.timer != nil {
		r.timer.Stop()
	}
}

// giveBack hands a connection to the server for its next request; read is what
// of it was read already.
func (l *Listener) giveBack(c net.Conn, read []byte) {
	given := &counted{Conn: c, listener: l}
	given.read.Reset(read)
	select {
	case l.back.conns <- given:
	case <-l.back.closed:
		given.Close()
	}
}

// counted is a connection that its listener counts until it is closed, or
// taken over by a Parker.
type counted struct {
	net.Conn
	listener *Listener
	over     sync.Once
	read     bytes.Reader // comes before what the connection has
}

// Read implements net.Conn.
func (c *counted) Read(b []byte) (int, error) {
	if c.read.Len() > 0 {
		return c.read.Read(b)
	}
	return c.Conn.Read(b)
}

// Close implements net.Conn.
func (c *counted) Close() error {
	c.over.Do(func() { c.listener.open.Add(-1) })
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

// take keeps the connection counted when it is closed.
func (c *counted) take() { c.over.Do(func() {}) }
