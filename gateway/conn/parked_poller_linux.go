package conn

import (
	"fmt"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// poller watches the sockets of parked connections: for clients that close, for room
// in full sockets, and for requests after polls. One epoll instance serves all
// writers. Go's poller watches it, so waiting for it takes no thread.
type poller struct {
	fd   int
	file *os.File // of fd; do not call its Fd, which would make it blocking
	wait syscall.RawConn

	mu    sync.Mutex
	slots []pollSlot // by ticket
	free  []int32
}

// ticket identifies a connection to the kernel: a slot, and how often it has been
// used, so that an event for an earlier connection in the slot is recognized.
type ticket struct{ slot, use int32 }

type pollSlot struct {
	conn *parked
	use  int32
}

// event is a change of a socket.
type event struct {
	conn     *parked
	closed   bool // by the client
	readable bool // of a poll; false: writable
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	file := os.NewFile(uintptr(fd), "epoll")
	wait, err := file.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return &poller{fd: fd, file: file, wait: wait}, nil
}

// All are edge-triggered: each change is reported once. EPOLLRDHUP reports a client
// that has closed the connection or its sending half; as in net/http, both mean that
// it has gone.
const (
	watchClosed   = unix.EPOLLRDHUP | unix.EPOLLET
	watchReadable = watchClosed | unix.EPOLLIN
	watchWritable = watchClosed | unix.EPOLLOUT
)

// add begins to watch p.
func (l *poller) add(p *parked) error {
	l.mu.Lock()
	if n := len(l.free); n > 0 {
		p.ticket.slot = l.free[n-1]
		l.free = l.free[:n-1]
	} else {
		p.ticket.slot = int32(len(l.slots))
		l.slots = append(l.slots, pollSlot{})
	}
	seat := &l.slots[p.ticket.slot]
	seat.conn = p
	p.ticket.use = seat.use
	l.mu.Unlock()
	if p.poll != nil {
		return l.control(unix.EPOLL_CTL_ADD, p, watchReadable)
	}
	return l.control(unix.EPOLL_CTL_ADD, p, watchClosed)
}

// awaitWritable requests an event for when p's socket has room.
func (l *poller) awaitWritable(p *parked) {
	_ = l.control(unix.EPOLL_CTL_MOD, p, watchWritable) // fails only without memory; then p ends with writeTimeout
}

func (l *poller) control(op int, p *parked, events uint32) error {
	return unix.EpollCtl(l.fd, op, int(p.fd), &unix.EpollEvent{Events: events, Fd: p.ticket.slot, Pad: p.ticket.use})
}

// freeSlot frees p's slot. The kernel stops watching when the socket is closed.
func (l *poller) freeSlot(p *parked) {
	l.mu.Lock()
	defer l.mu.Unlock()
	seat := &l.slots[p.ticket.slot]
	seat.conn = nil
	seat.use++
	l.free = append(l.free, p.ticket.slot)
}

// remove stops watching p without closing its socket.
func (l *poller) remove(p *parked) {
	_ = unix.EpollCtl(l.fd, unix.EPOLL_CTL_DEL, int(p.fd), nil) // it was added
	l.freeSlot(p)
}

// run hands events to the writers until close.
func (l *poller) run() {
	events := make([]unix.EpollEvent, 256)
	var byWriter [][]event // by writer.number
	for {
		var n int
		err := l.wait.Read(func(fd uintptr) bool {
			n = epollNow(fd, events)
			return n > 0
		})
		if err != nil {
			return // closed
		}
		byWriter = l.distribute(events[:max(n, 0)], byWriter)
		for i, batch := range byWriter {
			if len(batch) > 0 {
				batch[0].conn.writer.post(batch)
				byWriter[i] = emptied(batch)
			}
		}
	}
}

// distribute appends events to the slices of the connections' writers. Connections that
// have gone are left out.
func (l *poller) distribute(events []unix.EpollEvent, byWriter [][]event) [][]event {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range events {
		e := &events[i]
		seat := &l.slots[e.Fd]
		if seat.use != e.Pad || seat.conn == nil {
			continue
		}
		for seat.conn.writer.number >= len(byWriter) {
			byWriter = append(byWriter, nil)
		}
		batch := &byWriter[seat.conn.writer.number]
		*batch = append(*batch, event{
			conn:     seat.conn,
			closed:   e.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0,
			readable: e.Events&unix.EPOLLIN != 0,
		})
	}
	return byWriter
}

func (l *poller) close() error { return l.file.Close() }
