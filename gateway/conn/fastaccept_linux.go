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
func (p *Parker) EnableFastPath(l *Listener, d FastPath) {
	deferAccept(l.Listener)
	p.pollHead = unique.Make(pollHead(d.Header.Clone()))
	g := &guard{parker: p, door: d}
	for f := range g.streamHead {
		g.streamHead[f] = streamHead(d.Header.Clone(), wire.Format(f))
	}
	l.atDoor, l.shed = g.letIn, p.shed
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

// guard is the door of one listener.
type guard struct {
	parker     *Parker
	door       FastPath
	streamHead [wire.Formats]string

	mu     sync.Mutex // guards all below
	input  [8 << 10]byte
	output []byte
}

// letIn reports whether c is parked now, or over. If not, c is as it was.
func (g *guard) letIn(c *counted) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.parker.holding.enter() {
		return false
	}
	defer g.parker.holding.leave()
	input := g.input[:readNow(c.Conn, g.input[:])]
	if r, ok := parsePlain(input); ok && len(input) < len(g.input) {
		r.RemoteAddr = c.RemoteAddr().String()
		if next, ok := g.door.Stream(r); ok {
			if next.Trusted {
				c.exempt()
			}
			if g.stream(c, &next) {
				return true
			}
		} else if next, ok := g.door.Poll(r); ok {
			if next.Trusted {
				c.exempt()
			}
			if g.poll(c, &next) {
				return true
			}
		}
	}
	c.read.Reset(slices.Clone(input))
	return false
}

// readNow reads what is there. What went wrong the next read will tell.
func readNow(c net.Conn, b []byte) (n int) {
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

// stream parks c as a stream, unless messages have come since it was let in.
func (g *guard) stream(c *counted, next *FastResult) bool {
	defer next.Release()
	p := g.parker
	q := &parked{writer: p.nextWriter(), format: next.Format, ended: next.Ended}
	q.belongTo(&next.Session)
	if !p.joinNext(q, next) {
		q.ended(FellBack)
		return false
	}
	if next.Admit != nil && !next.Admit() {
		p.unjoin(q)
		q.ended(FellBack)
		return false
	}
	if !g.take(q, c) {
		return false
	}
	next.begin()
	head := g.streamHead[next.Format]
	if next.Header != nil {
		head = streamHead(next.Header, next.Format)
	}
	b := appendHead(g.output[:0], head, httpDate(time.Now()))
	b = appendChunk(b, next.Format.AppendReady(nil, g.door.Node, next.Cursors.Append(nil), ownCursors(next.Cursors), false))
	g.output = b
	if n, _ := q.write(b); n < len(b) { // the buffer of a new connection has room, unless its client has gone
		p.abandon(q)
		return true
	}
	q.writer.add(q)
	return true
}

// poll parks c as a poll.
func (g *guard) poll(c *counted, next *FastResult) bool {
	defer next.Release()
	p := g.parker
	k := &parked{
		writer: p.nextWriter(), ended: next.Ended,
		poll: &poll{head: p.pollHead, again: g.door.Poll, wait: next.Wait, waiting: true},
	}
	k.poll.answerWith(next.Header, p.pollHead)
	k.belongTo(&next.Session)
	p.joinNext(k, next)
	if !g.take(k, c) {
		return false
	}
	next.begin()
	k.writer.add(k)
	return true
}

// begin says that it begins.
func (n *FastResult) begin() {
	if n.Began != nil {
		n.Began()
	}
}

// take makes c the connection of q, which has joined; or undoes that.
func (g *guard) take(q *parked, c *counted) bool {
	fd, owner, err := takeOver(c)
	if err != nil {
		g.parker.unjoin(q)
		q.ended(FellBack)
		return false
	}
	q.fd, q.owner = fd, owner
	_ = c.Conn.Close() // the descriptor is our own
	return true
}

// abandon ends what has joined and has its connection, and never got to its
// writer.
func (p *Parker) abandon(q *parked) {
	p.unjoin(q)
	_ = unix.Close(int(q.fd)) // nothing can be done about it
	if q.owner != nil {
		q.owner.release()
	}
	q.ended(Gone)
}

// joinNext gives q its places; false if a stream's has moved on. A poll's
// cannot.
func (p *Parker) joinNext(q *parked, next *FastResult) bool {
	if q.poll == nil && len(next.Channels) == 1 {
		return p.joinFeed(q, next.Channels[0], next.Positions[0])
	}
	q.own = &own{cursors: next.Cursors}
	for i, channel := range next.Channels {
		p.joinOwn(q, channel, next.Positions[i])
	}
	return true
}
