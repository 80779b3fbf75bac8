package conn

import (
	"net"
	"slices"
	"sync"
	"syscall"
	"time"
	"unique"

	"golang.org/x/sys/unix"

	"comet/gateway/wire"
)

// EnableFastPath makes l let in at the door, which needs no goroutine, no parser of
// net/http's and no hijacking: a third of the CPU a connection
// (docs/benchmarks.md). What does not come in there goes on to the server. It
// must be called before anyone Accepts.
func (p *Parker) EnableFastPath(l *Listener, path FastPath) {
	deferAccept(l.Listener)
	p.pollHead = unique.Make(pollHead(path.Header.Clone()))
	a := &fastAcceptor{parker: p, path: path}
	for f := range a.streamHead {
		a.streamHead[f] = streamHead(path.Header.Clone(), wire.Format(f))
	}
	l.fastAccept, l.closeIdlePoll = a.accept, p.closeIdlePoll
}

// deferAccept asks the kernel to show connections only when their request has
// come, as most are read only once then (tcp(7), TCP_DEFER_ACCEPT; one that is
// silent for a second is shown all the same). Without it all goes on, at more
// cost, and other than TCP has none.
func deferAccept(l net.Listener) {
	if c, ok := l.(syscall.Conn); ok {
		if raw, err := c.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) {
				_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 1)
			})
		}
	}
}

// fastAcceptor is the door of one listener.
type fastAcceptor struct {
	parker     *Parker
	path       FastPath
	streamHead [wire.Formats]string

	mu     sync.Mutex // guards all below
	input  [8 << 10]byte
	output []byte
}

// accept reports whether c is parked now, or over. If not, c is as it was.
func (a *fastAcceptor) accept(c *countedConn) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.parker.parking.enter() {
		return false
	}
	defer a.parker.parking.leave()
	input := a.input[:readAvailable(c.Conn, a.input[:])]
	if r, ok := parsePlain(input); ok && len(input) < len(a.input) {
		r.RemoteAddr = c.RemoteAddr().String()
		if next, ok := a.path.Stream(r); ok {
			if next.Trusted {
				c.exempt()
			}
			if a.parkStream(c, &next) {
				return true
			}
		} else if next, ok := a.path.Poll(r); ok {
			if next.Trusted {
				c.exempt()
			}
			if a.parkPoll(c, &next) {
				return true
			}
		}
	}
	c.read.Reset(slices.Clone(input))
	return false
}

// readAvailable reads what is there. What went wrong the next read will tell.
func readAvailable(c net.Conn, b []byte) (n int) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Read(func(fd uintptr) bool {
		n, _ = unix.Read(int(fd), b)
		return true
	})
	return max(n, 0)
}

// parkStream parks c as a stream, unless messages have come since it was let in.
func (a *fastAcceptor) parkStream(c *countedConn, next *FastResult) bool {
	defer next.Release()
	p := a.parker
	q := &parked{writer: p.nextWriter(), format: next.Format, ended: next.Ended}
	q.setSession(&next.Session)
	if !p.joinResult(q, next) {
		q.ended(FellBack)
		return false
	}
	if next.Admit != nil && !next.Admit() {
		p.leaveFeeds(q)
		q.ended(FellBack)
		return false
	}
	if !a.takeConn(q, c) {
		return false
	}
	next.begin()
	head := a.streamHead[next.Format]
	if next.Header != nil {
		head = streamHead(next.Header, next.Format)
	}
	b := appendHead(a.output[:0], head, httpDate(time.Now()))
	b = appendChunk(b, next.Format.AppendReady(nil, a.path.Node, next.Cursors.Append(nil), perChannelCursors(next.Cursors), false))
	a.output = b
	if n, _ := q.write(b); n < len(b) { // the buffer of a new connection has room, unless its client has gone
		p.abandon(q)
		return true
	}
	q.writer.add(q)
	return true
}

// parkPoll parks c as a poll.
func (a *fastAcceptor) parkPoll(c *countedConn, next *FastResult) bool {
	defer next.Release()
	p := a.parker
	k := &parked{
		writer: p.nextWriter(), ended: next.Ended,
		poll: &poll{header: p.pollHead, next: a.path.Poll, wait: next.Wait, waiting: true},
	}
	k.poll.setHeader(next.Header, p.pollHead)
	k.setSession(&next.Session)
	p.joinResult(k, next)
	if !a.takeConn(k, c) {
		return false
	}
	next.begin()
	k.writer.add(k)
	return true
}

// takeConn makes c the connection of q, which has joined; or undoes that.
func (a *fastAcceptor) takeConn(q *parked, c *countedConn) bool {
	fd, owner, err := takeOver(c)
	if err != nil {
		a.parker.leaveFeeds(q)
		q.ended(FellBack)
		return false
	}
	q.fd, q.counted = fd, owner
	_ = c.Conn.Close() // the descriptor is our own
	return true
}

// abandon ends what has joined and has its connection, and never got to its
// writer.
func (p *Parker) abandon(q *parked) {
	p.leaveFeeds(q)
	_ = unix.Close(int(q.fd)) // nothing can be done about it
	if q.counted != nil {
		q.counted.release()
	}
	q.ended(Gone)
}

// joinResult gives q its places; false if a stream's has moved on. A poll's
// cannot.
func (p *Parker) joinResult(q *parked, next *FastResult) bool {
	if q.poll == nil && len(next.Channels) == 1 {
		return p.joinFeed(q, next.Channels[0], next.Positions[0])
	}
	q.unshared = &unshared{cursors: next.Cursors}
	for i, channel := range next.Channels {
		p.joinUnshared(q, channel, next.Positions[i])
	}
	return true
}
