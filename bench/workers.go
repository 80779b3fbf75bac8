package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// workers are the workers of a run, at the coordinator.
type workers struct {
	clock   clock
	members []*remoteWorker
	replies chan workerReply // from all; never closed
	reading sync.WaitGroup   // two goroutines per worker
}

// remoteWorker is the coordinator's side of one worker.
type remoteWorker struct {
	host   string
	stream io.ReadWriteCloser
	lines  *lines[order, reply]
	hello  hello
	share  share
	number int
	out    chan order // to the goroutine that sends
	gone   context.CancelFunc

	latest   report // with the worker's gauges
	answered int    // the last tick it answered
	final    *final
}

// workerReply is a reply, or the error that ended a worker's stream.
type workerReply struct {
	from *remoteWorker
	reply
	err error
}

// replyTime is how long a worker may take to answer.
const replyTime = 15 * time.Second

func newWorkers(c clock) *workers { return &workers{clock: c, replies: make(chan workerReply)} }

// startWorker starts a worker and waits for its hello.
func (c *workers) startWorker(ctx context.Context, p *WorkerHost) (*remoteWorker, error) {
	stream, err := p.Start(ctx)
	if err != nil {
		return nil, err
	}
	m := &remoteWorker{host: p.Name, stream: stream, lines: newLines[order, reply](stream), number: len(c.members)}
	timer := time.AfterFunc(replyTime, func() { stream.Close() })
	defer timer.Stop()
	stop := context.AfterFunc(ctx, func() { stream.Close() })
	defer stop()
	if err := c.handshake(m); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", p.Name, err), stream.Close())
	}
	c.members = append(c.members, m)
	return m, nil
}

// handshake answers the worker's requests for the time until it sends its hello.
func (c *workers) handshake(m *remoteWorker) error {
	for {
		r, err := m.lines.receive()
		switch {
		case errors.Is(err, io.EOF):
			return errors.New("the worker ended before its hello")
		case err != nil:
			return err
		case r.Failed != "":
			return errors.New(r.Failed)
		case r.Ask:
			if err := m.lines.send(order{Time: c.clock.now()}); err != nil {
				return err
			}
		case r.Hello != nil:
			m.hello = *r.Hello
			if m.hello.Protocol != protocolVersion {
				return fmt.Errorf("the worker has version %d of the protocol, and this is version %d: use the same version of comet everywhere", m.hello.Protocol, protocolVersion)
			}
			return nil
		}
	}
}

// start starts two goroutines per worker, until ctx ends: one sends its replies to
// c.replies, one sends it orders.
func (c *workers) start(ctx context.Context) {
	for _, m := range c.members {
		var life context.Context
		life, m.gone = context.WithCancel(ctx)
		m.out = make(chan order, 64)
		c.reading.Go(func() { c.read(life, m) })
		c.reading.Go(func() { c.write(life, m) })
	}
}

func (c *workers) read(ctx context.Context, m *remoteWorker) {
	for {
		r, err := m.lines.receive()
		select {
		case c.replies <- workerReply{m, r, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

func (c *workers) write(ctx context.Context, m *remoteWorker) {
	for {
		select {
		case o := <-m.out:
			if m.lines.send(o) != nil {
				return // the reader returns the error
			}
		case <-ctx.Done():
			return
		}
	}
}

// send sends the order to every worker, without blocking. A worker that accepts
// no more orders fails later, because its answer is missing.
func (c *workers) send(o order) {
	for _, m := range c.members {
		select {
		case m.out <- o:
		default:
		}
	}
}

// stop ends all workers and waits for them.
func (c *workers) stop() {
	var closing sync.WaitGroup
	for _, m := range c.members {
		if m.gone != nil {
			m.gone()
		}
		closing.Go(func() { _ = m.stream.Close() }) // the worker has ended, or been killed
	}
	closing.Wait()
	c.reading.Wait()
}

// all reports whether is returns true for every worker.
func (c *workers) all(is func(*remoteWorker) bool) bool {
	for _, m := range c.members {
		if !is(m) {
			return false
		}
	}
	return true
}

// sum adds up of's values for all workers.
func sum[T int | int64 | time.Duration](c *workers, of func(*remoteWorker) T) (total T) {
	for _, m := range c.members {
		total += of(m)
	}
	return total
}

// processes calls f with one worker of each process.
func (c *workers) processes(f func(*remoteWorker)) {
	seen := make(map[string]bool)
	for _, m := range c.members {
		if !seen[m.hello.Process] {
			seen[m.hello.Process] = true
			f(m)
		}
	}
}
