package conn

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Listener is a net.Listener that limits connections: in total, because a process has a
// limited number of descriptors, and per address. It answers and closes connections over
// a limit. When it is nearly full, it closes the connections that have been idle longest.
// A server, see ConfigureServer, serves both it and Returned.
type Listener struct {
	net.Listener
	limit         int64
	open          atomic.Int64 // accepted or parked
	full          refusal      // at limit
	addressFull   refusal      // at the limit of an address
	addressOf     AddressLimit
	fastAccept    func(*countedConn) bool // set by Parker.EnableFastPath; reports whether it has taken the connection
	closeIdlePoll func()                  // set by Parker.EnableFastPath; closes idle parked connections
	returned      returnedListener
	answering     chan struct{}  // holds a token per refusal that answers in the background
	refusals      sync.WaitGroup // those goroutines
	made          time.Time
	closed        atomic.Int64 // idle connections that were closed to make room

	mu         sync.Mutex // guards all below and the owners
	owners     map[netip.Addr]*addressConns
	unlimited  addressConns // the connections without a limit of their address
	candidates []idleConn   // to close next, the longest idle one last
}

// AddressLimit returns the address that a new connection counts for, and the most
// connections of that address. With 0 the connection does not count.
type AddressLimit func(remote netip.Addr) (address netip.Addr, most int)

// ListenOptions of a Listener.
type ListenOptions struct {
	Limit     int          // connections at a time, in total
	Refusal   string       // detail of the problem for a client over Limit; default: about descriptors
	Addresses AddressLimit // default: no limit per address
	Logger    *slog.Logger
}

// Listen is ListenWith with the most connections at a time, and no other options.
func Listen(l net.Listener, limit int, logger *slog.Logger) *Listener {
	return ListenWith(l, ListenOptions{Limit: limit, Logger: logger})
}

// ListenWith wraps l. Close the result to end it.
func ListenWith(l net.Listener, o ListenOptions) *Listener {
	if o.Refusal == "" {
		o.Refusal = descriptorsRefusal
	}
	w := &Listener{
		Listener: l, limit: int64(o.Limit), addressOf: o.Addresses, answering: make(chan struct{}, maxAnswering),
		made: time.Now(), owners: make(map[netip.Addr]*addressConns),
	}
	logger := o.Logger.With("connections", o.Limit)
	w.full = refusal{logger: logger, message: "refusing connections: the descriptor limit is reached, see ulimit -n", answer: answerFull(o.Refusal)}
	w.addressFull = refusal{logger: logger, message: "refusing connections: an address has reached limits.address_connections", answer: answerAddressFull}
	w.unlimited = addressConns{listener: w, conns: make(map[*countedConn]struct{})}
	w.returned = returnedListener{Listener: l, conns: make(chan net.Conn), closed: make(chan struct{})}
	return w
}

// Close implements net.Listener. It waits for refusals under way.
func (l *Listener) Close() error {
	err := l.Listener.Close()
	l.refusals.Wait()
	l.full.stop()
	l.addressFull.stop()
	return err
}

// Open is the number of connections.
func (l *Listener) Open() int64 { return l.open.Load() }

// Limit is the most connections at a time.
func (l *Listener) Limit() int64 { return l.limit }

// ListenerStats has the numbers of a Listener.
type ListenerStats struct {
	Open           int64 // connections at the moment, with parked ones
	Refused        int64 // connections refused since the start, at the limit
	AddressRefused int64 // connections refused since the start, at the limit of their address
	Closed         int64 // idle connections closed since the start, to make room
}

// Stats returns the current numbers. It may be called after Close.
func (l *Listener) Stats() ListenerStats {
	return ListenerStats{Open: l.open.Load(), Refused: l.full.count(), AddressRefused: l.addressFull.count(), Closed: l.closed.Load()}
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		o, refused := l.acquire(c)
		if o == nil {
			l.refuse(c, refused)
			continue
		}
		accepted := &countedConn{Conn: c, listener: l, owner: o}
		if l.fastAccept != nil && l.fastAccept(accepted) {
			continue
		}
		accepted.startServing()
		return accepted, nil
	}
}

// Returned accepts the connections that were parked and have another request.
func (l *Listener) Returned() net.Listener { return &l.returned }

// returnedListener is Listener.Returned. Its address is that of its Listener.
type returnedListener struct {
	net.Listener
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// Accept implements net.Listener.
func (b *returnedListener) Accept() (net.Conn, error) {
	select {
	case c := <-b.conns:
		return c, nil
	case <-b.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (b *returnedListener) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

// serveReturned hands a connection of o to the server for its next request. read is the
// part that was read already.
func (l *Listener) serveReturned(c net.Conn, o *addressConns, read []byte) {
	returned := &countedConn{Conn: c, listener: l, owner: o}
	returned.read.Reset(read)
	returned.startServing()
	select {
	case l.returned.conns <- returned:
	case <-l.returned.closed:
		returned.Close()
	}
}
