package conn

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Listener is a net.Listener that limits connections: in all, because the
// process has only so many descriptors, and per address. It refuses what is over
// a limit with an answer. When it is nearly full, it closes the connections that
// have been idle longest. A server serves both it and its Returned, see ConfigureServer.
type Listener struct {
	net.Listener
	limit         int64
	open          atomic.Int64 // accepted or parked
	full          refusal
	addressFull   refusal // an address has all that it may have
	addressOf     AddressLimit
	fastAccept    func(*countedConn) bool // Parker.EnableFastPath's; reports whether the connection is no more the server's
	closeIdlePoll func()                  // Parker.EnableFastPath's; closes parked connections that are idle
	returned      returnedListener
	answering     chan struct{}  // holds a token for each refusal under way
	refusals      sync.WaitGroup // refusals
	made          time.Time
	closed        atomic.Int64 // idle connections that made room

	mu         sync.Mutex // guards all below and the owners
	owners     map[netip.Addr]*addressConns
	unlimited  addressConns // has the connections without a limit
	candidates []idleConn   // to be closed, the longest idle one last
}

// AddressLimit tells for a new connection which address it counts for and how
// many connections that may have. 0: any number, which are not counted.
type AddressLimit func(remote netip.Addr) (address netip.Addr, most int)

// ListenOptions of a Listener.
type ListenOptions struct {
	Limit     int          // connections at a time, in all
	Refusal   string       // what a client over Limit is told to know and to do; default: of descriptors
	Addresses AddressLimit // default: none
	Logger    *slog.Logger
}

// Listen wraps l. limit is how many connections there may be at a time.
func Listen(l net.Listener, limit int, logger *slog.Logger) *Listener {
	return ListenWith(l, ListenOptions{Limit: limit, Logger: logger})
}

// ListenWith wraps l.
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
	w.addressFull = refusal{logger: logger, message: "refusing connections of an address that has as many as it may have, see limits.address_connections", answer: answerAddressFull}
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

// Open is how many connections there are.
func (l *Listener) Open() int64 { return l.open.Load() }

// Limit is how many connections there may be.
func (l *Listener) Limit() int64 { return l.limit }

// ListenerStats is what a Listener counts.
type ListenerStats struct {
	Open           int64 // connections at the moment, parked ones too
	Refused        int64 // connections since the start, at the limit
	AddressRefused int64 // connections since the start, at the limit of their address
	Closed         int64 // idle connections since the start that made room for others
}

// Stats may be called at any time, also after Close.
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
		o, why := l.acquire(c)
		if o == nil {
			l.refuse(c, why)
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

// Returned is where connections come that were parked and have another request.
func (l *Listener) Returned() net.Listener { return &l.returned }

// returnedListener is Listener.Returned; it has the address of the listener it belongs to.
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

// serveReturned hands a connection of o to the server for its next request; read is
// what of it was read already.
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
