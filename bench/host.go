package bench

import (
	"context"
	"io"
	"net"
	"sync"
)

// Start starts a worker and returns the stream to it. Closing the stream ends
// the worker, and returns when it is gone.
type Start func(ctx context.Context) (io.ReadWriteCloser, error)

// WorkerHost is where workers run.
type WorkerHost struct {
	Name  string // for messages, as "this machine"
	Start Start
	// Single hosts have room for one worker: it shares its process.
	Single bool
}

// InProcess is a host within this process: for few subscribers, and where no
// other process may be started.
func InProcess() WorkerHost {
	return WorkerHost{Name: "this process", Single: true, Start: func(ctx context.Context) (io.ReadWriteCloser, error) {
		ours, theirs := net.Pipe()
		w := &inProcess{Conn: ours}
		w.running.Go(func() { _ = ServeWorker(ctx, theirs) }) // it has said why, or was closed
		return w, nil
	}}
}

// inProcess is the stream to a worker of this process.
type inProcess struct {
	net.Conn
	running sync.WaitGroup
}

func (w *inProcess) Close() error {
	err := w.Conn.Close()
	w.running.Wait()
	return err
}
