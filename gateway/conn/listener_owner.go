package conn

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"time"
)

// addressConns counts the connections of one address, or all that have no limit.
type addressConns struct {
	listener *Listener
	address  netip.Addr // not valid: there is no limit

	// Guarded by Listener.mu.
	open  int                       // accepted or parked; 0 without a limit
	conns map[*countedConn]struct{} // at the server
}

// acquire counts a new connection. At a limit it closes an idle connection to make
// room. If there is none, it returns nil and the refusal to answer with.
func (l *Listener) acquire(c net.Conn) (o *addressConns, refused *refusal) {
	switch open := l.open.Load(); {
	case open >= l.limit:
		l.makeRoom(minIdle)
		if l.open.Load() >= l.limit {
			return nil, &l.full
		}
	case open >= l.limit-l.limit/nearlyFull:
		l.makeRoom(minIdleEarly)
	}
	if o = l.acquireAddress(c.RemoteAddr()); o == nil {
		return nil, &l.addressFull
	}
	l.open.Add(1)
	return o, nil
}

// nearlyFull is the divisor of the limit: a listener is nearly full when at most
// limit/nearlyFull connections are free.
const nearlyFull = 64

// At a limit, connections are closed that have been idle for minIdle: the request of a
// younger one may be on its way. When the listener is only nearly full, it is
// minIdleEarly.
const (
	minIdle      = 100 * time.Millisecond
	minIdleEarly = time.Second
)

// acquireAddress counts a connection for its address. It is nil if the address has
// reached its limit and has no idle connection to close.
func (l *Listener) acquireAddress(remote net.Addr) *addressConns {
	tcp, ok := remote.(*net.TCPAddr)
	if !ok || l.addressOf == nil {
		return &l.unlimited
	}
	address, most := l.addressOf(tcp.AddrPort().Addr().Unmap())
	if most == 0 {
		return &l.unlimited
	}
	l.mu.Lock()
	o := l.owners[address]
	if o == nil {
		o = &addressConns{listener: l, address: address, conns: make(map[*countedConn]struct{})}
		l.owners[address] = o
	}
	var idle *countedConn
	if o.open >= most {
		if idle = o.claimIdle(); idle == nil {
			l.mu.Unlock()
			return nil
		}
	}
	o.open++
	l.mu.Unlock()
	l.closeIdle(idle)
	return o
}

// release stops counting one connection.
func (o *addressConns) release() {
	l := o.listener
	l.open.Add(-1)
	if !o.address.IsValid() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if o.open--; o.open == 0 {
		delete(l.owners, o.address)
	}
}

// claimIdle finds the connection that has been idle longest, for the caller to close.
// The caller holds Listener.mu.
func (o *addressConns) claimIdle() *countedConn {
	for {
		longest, since := (*countedConn)(nil), o.listener.clock()-int64(minIdle)
		for c := range o.conns {
			if at := c.idle.Load(); at > 0 && at < since {
				longest, since = c, at
			}
		}
		if longest == nil || longest.idle.CompareAndSwap(since, closing) {
			return longest
		}
	}
}

// closeIdle closes a connection that was claimed; nil: nothing.
func (l *Listener) closeIdle(c *countedConn) {
	if c != nil {
		l.closed.Add(1)
		c.Close()
	}
}

// idleConn is a connection with the value of countedConn.idle when it was found.
type idleConn struct {
	*countedConn
	since int64
}

// maxCandidates is how many connections findCandidates finds, so that not every new
// connection scans all others.
const maxCandidates = 64

// makeRoom closes the connection of any address that has been idle longest, if that is
// at least minimum. It also makes the Parker close idle ones between polls.
func (l *Listener) makeRoom(minimum time.Duration) {
	if l.closeIdlePoll != nil {
		l.closeIdlePoll()
	}
	l.mu.Lock()
	c := l.nextCandidate(minimum)
	if c == nil {
		l.findCandidates()
		c = l.nextCandidate(minimum)
	}
	l.mu.Unlock()
	l.closeIdle(c)
}

// nextCandidate claims the next candidate that is still idle. The caller holds mu.
func (l *Listener) nextCandidate(minimum time.Duration) *countedConn {
	latest := l.clock() - int64(minimum)
	for n := len(l.candidates); n > 0; n = len(l.candidates) {
		next := l.candidates[n-1]
		if next.since > latest {
			return nil
		}
		l.candidates[n-1] = idleConn{}
		l.candidates = l.candidates[:n-1]
		if next.idle.CompareAndSwap(next.since, closing) {
			return next.countedConn
		}
	}
	return nil
}

// findCandidates finds the connections of all that are idle longest. The caller holds mu.
func (l *Listener) findCandidates() {
	all := l.unlimited.appendIdle(nil)
	for _, o := range l.owners {
		all = o.appendIdle(all)
	}
	slices.SortFunc(all, func(a, b idleConn) int { return cmp.Compare(b.since, a.since) })
	l.candidates = append([]idleConn(nil), all[max(0, len(all)-maxCandidates):]...)
}

func (o *addressConns) appendIdle(all []idleConn) []idleConn {
	for c := range o.conns {
		if since := c.idle.Load(); since > 0 {
			all = append(all, idleConn{c, since})
		}
	}
	return all
}

// clock is the time since the listener was made, in ns, and never 0.
func (l *Listener) clock() int64 { return int64(time.Since(l.made)) + 1 }
