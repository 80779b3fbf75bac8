package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
)

// processID identifies this process: its workers have the same one.
var processID = rand.Text()

// ServeWorker holds the subscribers that a coordinator assigns to it over rw,
// until the run is over (nil), the coordinator disconnects or ctx ends. It closes
// an rw that is an io.Closer. Otherwise a goroutine that reads from rw may be left
// after an error.
func ServeWorker(ctx context.Context, rw io.ReadWriter) error {
	w := &worker{lines: newLines[reply, order](rw), clock: newClock(), orders: make(chan received, 16), replies: make(chan reply, 16)}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if closer, ok := rw.(io.Closer); ok {
		// Closing also ends the reading.
		defer context.AfterFunc(ctx, func() { closer.Close() })()
		defer w.busy.Wait()
		defer closer.Close()
	}
	share, err := w.greet()
	if err == nil {
		err = w.work(ctx, cancel, share)
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err != nil {
		_ = w.lines.send(reply{Failed: err.Error()}) // the coordinator may have gone
		return fmt.Errorf("worker: %w", err)
	}
	return nil
}

// worker is one ServeWorker.
type worker struct {
	lines   *lines[reply, order]
	clock   clock
	orders  chan received // never closed
	replies chan reply    // never closed
	busy    sync.WaitGroup
}

// greet synchronizes the clock, sends the hello and returns the share.
func (w *worker) greet() (*share, error) {
	offset, err := w.clock.offset(func() (instant, error) {
		if err := w.lines.send(reply{Ask: true}); err != nil {
			return 0, err
		}
		o, err := w.lines.receive()
		return o.Time, err
	})
	if err != nil {
		return nil, err
	}
	w.clock.set(offset)
	if err := w.lines.send(reply{Hello: greeting()}); err != nil {
		return nil, err
	}
	o, err := w.lines.receive()
	if err != nil {
		return nil, err
	}
	if o.Share == nil {
		return nil, errors.New("the first order is not a share")
	}
	o.Share.Plan.Target.Token, o.Share.Plan.Target.Headers = o.Share.Token, o.Share.Headers
	return o.Share, o.Share.validate()
}

func greeting() *hello {
	return &hello{
		Protocol: protocolVersion, Process: processID, Descriptors: descriptorLimit(), Ports: portRange(),
		Cores: runtime.NumCPU(), Memory: ownMemory(),
	}
}

// work runs the event loop, and two goroutines that read orders and write replies.
func (w *worker) work(ctx context.Context, cancel context.CancelCauseFunc, share *share) error {
	loop, err := newEventLoop(share, w.clock, w.orders, w.replies)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, loop.sockets.wake)()
	w.busy.Go(func() {
		if err := w.read(ctx, loop); err != nil {
			cancel(err)
		}
	})
	var writing sync.WaitGroup
	over := make(chan struct{})
	writing.Go(func() {
		if err := w.write(over); err != nil {
			cancel(err)
		}
	})
	err = loop.run(ctx)
	close(over)
	writing.Wait()
	return err
}

// read passes orders to the event loop, until the last one.
func (w *worker) read(ctx context.Context, s *eventLoop) error {
	for {
		o, err := w.lines.receive()
		if errors.Is(err, io.EOF) {
			return errors.New("the coordinator disconnected")
		}
		if err != nil {
			return err
		}
		select {
		case w.orders <- received{o, w.clock.now()}:
			s.sockets.wake()
		case <-ctx.Done():
			return nil
		}
		if o.Stop {
			return nil
		}
	}
}

// write sends replies until over, and then those that are left.
func (w *worker) write(over <-chan struct{}) error {
	for {
		select {
		case r := <-w.replies:
			if err := w.send(r); err != nil {
				return err
			}
		case <-over:
			for len(w.replies) > 0 {
				if err := w.send(<-w.replies); err != nil {
					return err
				}
			}
			return nil
		}
	}
}

func (w *worker) send(r reply) error {
	if r.Report != nil {
		r.Report.encode()
	}
	return w.lines.send(r)
}
