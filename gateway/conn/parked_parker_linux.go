package conn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unique"
)

// Parker parks streams and polls. Those that cannot be parked (HTTP/2, TLS, HTTP/1.0)
// it holds as a Portable does. Its methods may be called concurrently.
type Parker struct {
	Portable
	poller     *poller
	writers    []*writer
	feeds      feedTable
	roundRobin atomic.Uint64 // distributes connections to writers
	stop       chan struct{}
	writing    sync.WaitGroup
	polling    sync.WaitGroup
	parking    gate // connections that have left the server and are not parked yet
	returning  gate // connections that return to the server

	pollHead unique.Handle[string] // header of polls on the fast path; set by EnableFastPath
}

// NewParker starts a parker: a poller, and a writer for each core that Go uses.
// heartbeat is that of Portable. Call Close to end it.
func NewParker(heartbeat time.Duration) (*Parker, error) {
	poller, err := newPoller()
	if err != nil {
		return nil, fmt.Errorf("park connections: %w", err)
	}
	n := runtime.GOMAXPROCS(0)
	p := &Parker{
		Portable: Portable{Heartbeat: heartbeat, counters: newCounters(n)},
		poller:   poller, stop: make(chan struct{}),
	}
	p.feeds = newFeedTable(&p.Portable, n)
	for i := range n {
		w := newWriter(p, i)
		p.writers = append(p.writers, w)
		p.writing.Go(func() { w.run(p.stop) })
	}
	p.polling.Go(poller.run)
	return p, nil
}

// Drain closes all parked connections with Shutdown, spread evenly over time, and new
// ones as soon as they are parked. It does not wait.
func (p *Parker) Drain(spread time.Duration) {
	for _, w := range p.writers {
		w.drain(spread)
	}
}

// Revoke closes the parked connections of a user, and those that are about to be
// parked, if their credentials were issued before a time or it is unknown when. It
// does not wait.
func (p *Parker) Revoke(user string, before time.Time, reason CloseReason) {
	r := revocation{user: unique.Make(user), before: before.UnixMilli(), reason: reason}
	for _, w := range p.writers {
		w.revoke(r)
	}
}

// WaitDrained waits after Drain until all parked connections are closed or ctx ends.
// It returns how many are left.
func (p *Parker) WaitDrained(ctx context.Context) (left int) {
	for _, w := range p.writers {
		select {
		case <-w.registry.drained:
		case <-ctx.Done():
			left += int(w.registry.count.Load())
		}
	}
	return left
}

// Close closes all parked connections. Until ctx ends it waits for those that are
// about to be parked. Call it after Drain, with the listener closed. The error says
// how many connections were left; they are closed when they would be parked.
func (p *Parker) Close(ctx context.Context) error {
	left := p.parking.close(ctx)
	close(p.stop)
	p.writing.Wait() // before the poller closes its descriptor, which may be used again
	left += p.returning.close(ctx)
	err := p.poller.close()
	p.polling.Wait()
	if left > 0 {
		err = errors.Join(err, fmt.Errorf("%d connections did not end in time: %w", left, context.Cause(ctx)))
	}
	return err
}

// Stats returns the current numbers. It may be called after Close.
func (p *Parker) Stats() Stats {
	s := p.counters.stats()
	for _, w := range p.writers {
		for t := range s.Parked {
			s.Parked[t] += w.registry.gauges.parked[t].Load()
		}
		s.IdlePolls += w.registry.gauges.idlePolls.Load()
	}
	return s
}

// parkable reports whether the connection of a request can be parked.
func parkable(r *http.Request) bool { return r.TLS == nil && r.ProtoMajor == 1 && r.ProtoMinor == 1 }

// Hold holds s. It returns when s has ended or is parked.
func (p *Parker) Hold(w http.ResponseWriter, r *http.Request, s *Stream) {
	if !parkable(r) {
		p.Portable.Hold(w, r, s)
		return
	}
	if !p.parking.enter() { // before the server stops tracking the connection
		p.Portable.Hold(w, r, s)
		return
	}
	defer p.parking.leave()
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		p.Portable.Hold(w, r, s)
		return
	}
	defer connection.Close()
	ctx, cancel := s.Session.withDeadline(r.Context())
	defer cancel()
	defer shortenDeadlineAtEnd(ctx, connection.SetWriteDeadline)()
	if p.pumpUntilParked(ctx, connection, w.Header(), s) {
		return
	}
	s.end()
}

// pumpUntilParked writes to a hijacked connection until its stream can be parked, or
// has ended.
func (p *Parker) pumpUntilParked(ctx context.Context, connection net.Conn, header http.Header, s *Stream) (parked bool) {
	s.counters = p.counters.next()
	out := appendHead(nil, streamHead(header, s.Format, s.Coding), httpDate(time.Now()))
	write := func(b []byte, final bool) error {
		b = s.encode(b, final)
		if err := setWriteDeadline(ctx, connection.SetWriteDeadline); err != nil {
			return err
		}
		n, err := writeChunk(connection, out, b)
		s.counters.addBytes(TransportOf(s.Format), int(n))
		out = nil
		return err
	}
	last := s.pump(ctx, &p.Portable, write, func() bool {
		parked = p.park(connection, s)
		return parked
	})
	if len(last) > 0 && write(last, true) == nil {
		n, _ := connection.Write([]byte(lastChunk))
		s.counters.addBytes(TransportOf(s.Format), n)
	}
	return parked
}

// park takes over the connection of a stream that has all of the log. It returns
// false, and has changed nothing, if it cannot.
func (p *Parker) park(connection net.Conn, s *Stream) bool {
	if !allLive(s.Subscriber) {
		return false
	}
	w := p.nextWriter()
	q := &parked{writer: w, format: s.Format, gzip: s.Coding == Gzip, ended: s.Ended}
	q.setSession(&s.Session)
	if !p.feeds.joinStream(q, s) {
		return false
	}
	fd, owner, err := takeOver(connection)
	if err != nil {
		p.feeds.leave(q)
		return false
	}
	q.fd, q.owner = fd, owner
	if q.gzip {
		q.single[0].shard.beginGzip(q, s.gzip.whole)
	}
	s.Subscriber.Close()
	w.add(q)
	return true
}

// nextWriter distributes connections to the writers in turn.
func (p *Parker) nextWriter() *writer {
	return p.writers[p.roundRobin.Add(1)%uint64(len(p.writers))]
}

// closeIdlePoll makes every writer close a connection that is idle between polls,
// if it has one. It does not wait.
func (p *Parker) closeIdlePoll() {
	for _, w := range p.writers {
		w.hand(func(in *inbox) { in.closeIdle++ })
	}
}
