package conn

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"time"
)

// addressConns is the connections of one address, or all that have no limit.
type addressConns struct {
	listener *Listener
	address  netip.Addr // not valid: these have no limit

	// Guarded by Listener.mu.
	open  int                       // accepted or parked; not counted without a limit
	conns map[*countedConn]struct{} // those that the server has
}

// acquire counts a new connection. Without room it returns no owner, and which
// refusal to answer. Idle connections make room.
func (l *Listener) acquire(c net.Conn) (o *addressConns, why *refusal) {
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

// nearlyFull: a listener is nearly full when at most one of nearlyFull
// connections is free.
const nearlyFull = 64

// An idle connection makes room after fresh, as its request may be on its way
// until then. While there is some room left, it does so after restless.
const (
	minIdle      = 100 * time.Millisecond
	minIdleEarly = time.Second
)

// acquireAddress counts a connection for its address; nil if it has as many as
// it may have, and none of them is idle.
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

// release counts one connection less.
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

// claimIdle finds the connection that has been idle longest, which the caller
// closes. It is called with Listener.mu held.
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

// closeIdle closes one that was claimed, if one was.
func (l *Listener) closeIdle(c *countedConn) {
	if c != nil {
		l.closed.Add(1)
		c.Close()
	}
}

// idleConn is a connection that was idle since a time, as in counted.idle.
type idleConn struct {
	*countedConn
	since int64
}

// maxCandidates is how many connections one look at all of them finds, so that
// a crowd does not cost a look each.
const maxCandidates = 64

// makeRoom closes the connection that has been idle longest, of all addresses,
// if it has been for at least. It has the parker close those that rest between
// polls.
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

// nextCandidate claims the next candidate that is still idle. It is called with
// mu held, as is findCandidates.
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

// findCandidates looks at all connections for those that are idle longest.
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

// clock is the time since the listener was made, and never 0.
func (l *Listener) clock() int64 { return int64(time.Since(l.made)) + 1 }
