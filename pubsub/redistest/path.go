package redistest

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// path is one connection through a proxy.
type path struct {
	proxy  *Proxy
	client net.Conn
	ctx    context.Context // ends with the path
	end    context.CancelCauseFunc
	ended  chan struct{} // closed by run when both connections are closed
}

func newPath(p *Proxy, client net.Conn) *path {
	w := &path{proxy: p, client: client, ended: make(chan struct{})}
	w.ctx, w.end = context.WithCancelCause(p.ctx)
	return w
}

// run carries in both directions until one side ends or the path is ended.
func (w *path) run() {
	defer close(w.ended)
	defer w.end(nil)
	if !w.proxy.passable(w.ctx) {
		w.hangUp(w.client)
		return
	}
	server, err := w.proxy.dial(w.ctx)
	if err != nil {
		w.end(errReset) // as near to "connection refused" as a proxy comes
		w.hangUp(w.client)
		return
	}
	var ways sync.WaitGroup
	ways.Go(func() {
		<-w.ctx.Done()
		w.hangUp(w.client) // ends what is read and written below
		w.hangUp(server)
	})
	w.carry(&ways, w.client, server)
	w.carry(&ways, server, w.client)
	ways.Wait()
}

// hangUp closes a connection in the way that the path ended.
func (w *path) hangUp(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok && errors.Is(context.Cause(w.ctx), errReset) {
		_ = tcp.SetLinger(0) // a RST
	}
	_ = c.Close()
}

// chunk is bytes on their way.
type chunk struct {
	data []byte
	due  time.Time
}

const (
	chunkSize = 16 << 10
	// queueSize bounds what is on its way, so that a cut stops the sender in
	// the end as a full TCP window would.
	queueSize = 64
)

// carry carries one direction. The end of from is carried as well, after
// everything else, and ends the path.
func (w *path) carry(ways *sync.WaitGroup, from, to net.Conn) {
	queue := make(chan chunk, queueSize)
	ways.Go(func() {
		defer close(queue)
		w.read(from, queue)
	})
	ways.Go(func() {
		defer w.end(nil)
		w.write(to, queue)
	})
}

func (w *path) read(from net.Conn, queue chan<- chunk) {
	for {
		data := make([]byte, chunkSize)
		n, err := from.Read(data)
		if err != nil {
			return
		}
		select {
		case queue <- chunk{data[:n], w.proxy.due()}:
		case <-w.ctx.Done():
			return
		}
	}
}

func (w *path) write(to net.Conn, queue <-chan chunk) {
	for c := range queue {
		select {
		case <-time.After(time.Until(c.due)):
		case <-w.ctx.Done():
			return
		}
		if !w.proxy.passable(w.ctx) {
			return
		}
		if _, err := to.Write(c.data); err != nil {
			return
		}
	}
	w.proxy.passable(w.ctx) // an end does not pass a cut either
}
