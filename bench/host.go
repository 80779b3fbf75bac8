package bench

import (
	"context"
	"io"
	"net"
	"sync"
)

// Start starts a worker and returns the stream to it. Closing the stream ends the
// worker and waits for its end.
type Start func(ctx context.Context) (io.ReadWriteCloser, error)

// WorkerHost is where workers run.
type WorkerHost struct {
	Name  string // for messages, like "this machine"
	Start Start
	// Single means that the host has only one worker, in this process.
	Single bool
}

// InProcess returns a host within this process, for a few subscribers, or where
// no other process can be started.
func InProcess() WorkerHost {
	return WorkerHost{Name: "this process", Single: true, Start: func(ctx context.Context) (io.ReadWriteCloser, error) {
		ours, theirs := net.Pipe()
		w := &inProcess{Conn: ours}
		w.running.Go(func() { _ = ServeWorker(ctx, theirs) }) // the coordinator got the error, or closed the stream
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
