package conn

import (
	"net"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"time"
	"unique"

	"golang.org/x/sys/unix"

	"comet/gateway/wire"
)

// EnableFastPath makes l park connections without net/http: no goroutine, no parser of
// net/http and no hijacking, which is a third of the CPU per connection
// (docs/benchmarks.md). Requests that path does not admit go on to the server. Call it
// before l.Accept.
func (p *Parker) EnableFastPath(l *Listener, path FastPath) {
	deferAccept(l.Listener)
	p.pollHead = unique.Make(pollHead(path.Header.Clone(), "application/json"))
	a := &fastAcceptor{parker: p, path: path}
	for f := range a.streamHead {
		for c := range a.streamHead[f] {
			a.streamHead[f][c] = streamHead(path.Header.Clone(), wire.Format(f), Coding(c))
		}
	}
	l.fastAccept, l.closeIdlePoll = a.accept, p.closeIdlePoll
}

// deferAccept makes the kernel accept connections only when their request has come,
// so that one read is enough for most (tcp(7), TCP_DEFER_ACCEPT). A connection that is
// silent for a second is accepted as well. It is an optimization, and for TCP only.
func deferAccept(l net.Listener) {
	if c, ok := l.(syscall.Conn); ok {
		if raw, err := c.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) {
				_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 1)
			})
		}
	}
}

// fastAcceptor is the fast path of one listener.
type fastAcceptor struct {
	parker     *Parker
	path       FastPath
	streamHead [wire.Formats][codings]string

	mu     sync.Mutex // guards all below
	input  [8 << 10]byte
	output []byte
}

// accept reads the first request on c. It reports whether c is parked or closed now. If
// not, c is as it was.
func (a *fastAcceptor) accept(c *countedConn) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.parker.parking.enter() {
		return false
	}
	defer a.parker.parking.leave()
	input := a.input[:readAvailable(c.Conn, a.input[:])]
	if r, ok := parsePlain(input); ok && len(input) < len(a.input) && a.park(c, r) {
		return true
	}
	c.read.Reset(slices.Clone(input))
	return false
}

// park parks c as what its request r asks for, if it is admitted.
func (a *fastAcceptor) park(c *countedConn, r *http.Request) bool {
	r.RemoteAddr = c.RemoteAddr().String()
	next, stream := a.path.Stream(r)
	if !stream {
		var ok bool
		if next, ok = a.path.Poll(r); !ok {
			return false
		}
	}
	if next.Trusted {
		c.exempt()
	}
	if stream {
		return a.parkStream(c, &next)
	}
	return a.parkPoll(c, &next)
}

// readAvailable does one non-blocking read. Errors surface at the next Read.
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
		n, _ = readNow(int(fd), b)
		return true
	})
	return max(n, 0)
}

// parkStream parks c as a stream. It returns false if messages have come since the
// admission, or if next.Admit refuses.
func (a *fastAcceptor) parkStream(c *countedConn, next *FastResult) bool {
	p := a.parker
	q := &parked{writer: p.nextWriter(), format: next.Format, gzip: next.Coding == Gzip, ended: next.Ended}
	q.setSession(&next.Session)
	if !p.feeds.joinResult(q, next) {
		q.ended(FellBack)
		return false
	}
	if next.Admit != nil && !next.Admit() {
		p.feeds.leave(q)
		q.ended(FellBack)
		return false
	}
	if !a.takeConn(q, c) {
		return false
	}
	next.begin()
	head := a.streamHead[next.Format][next.Coding]
	if next.Header != nil {
		head = streamHead(next.Header, next.Format, next.Coding)
	}
	b := appendHead(a.output[:0], head, httpDate(time.Now()))
	ready := next.Format.AppendReady(nil, a.path.Node, next.Cursors.Append(nil), perChannelCursors(next.Cursors), false)
	if q.gzip {
		ready = q.beginBody(ready)
	}
	b = appendChunk(b, ready)
	a.output = b
	if n, _ := q.write(b); n < len(b) { // a new connection's buffer has room, unless its client has gone
		p.abandon(q)
		return true
	}
	q.writer.add(q)
	return true
}

// parkPoll parks c as a poll.
func (a *fastAcceptor) parkPoll(c *countedConn, next *FastResult) bool {
	p := a.parker
	q := &parked{
		writer: p.nextWriter(), ended: next.Ended,
		poll: &poll{header: p.pollHead, next: a.path.Poll, wait: next.Wait, waiting: true},
	}
	q.poll.setHeader(next.Header, p.pollHead)
	q.setSession(&next.Session)
	p.feeds.joinResult(q, next)
	if !a.takeConn(q, c) {
		return false
	}
	next.begin()
	q.writer.add(q)
	return true
}

// takeConn makes c the connection of q, which has joined its feeds, or undoes the joins.
func (a *fastAcceptor) takeConn(q *parked, c *countedConn) bool {
	fd, owner, err := takeOver(c)
	if err != nil {
		a.parker.feeds.leave(q)
		q.ended(FellBack)
		return false
	}
	q.fd, q.owner = fd, owner
	_ = c.Conn.Close() // q has its own descriptor
	return true
}

// abandon closes q, which has joined its feeds and has its connection, without its
// writer.
func (p *Parker) abandon(q *parked) {
	p.feeds.leave(q)
	_ = unix.Close(int(q.fd)) // nothing can be done about an error
	if q.owner != nil {
		q.owner.release()
	}
	q.ended(Gone)
}
