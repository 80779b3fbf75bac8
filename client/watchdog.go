package client

import (
	"context"
	"io"
	"time"
)

// watchdog ends a request for which nothing comes for a while, which a peer
// that vanished without a word would otherwise hold forever. It watches from
// the start, and then only while its guarded body is being read: a caller who
// takes long over an event is not the server's fault.
type watchdog struct {
	ctx    context.Context // for the request
	cancel context.CancelCauseFunc
	idle   time.Duration
	timer  *time.Timer
}

func newWatchdog(ctx context.Context, idle time.Duration) *watchdog {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(idle, func() { cancel(errIdle) })
	return &watchdog{ctx: ctx, cancel: cancel, idle: idle, timer: timer}
}

// stop ends the request too.
func (w *watchdog) stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// explain is err, or why the watchdog caused it.
func (w *watchdog) explain(err error) error {
	if context.Cause(w.ctx) == errIdle {
		return errIdle
	}
	return err
}

// guard watches the reading of the answer's body.
func (w *watchdog) guard(body io.Reader) io.Reader {
	w.timer.Stop()
	return guarded{w, body}
}

type guarded struct {
	*watchdog
	body io.Reader
}

func (g guarded) Read(p []byte) (int, error) {
	g.timer.Reset(g.idle)
	n, err := g.body.Read(p)
	g.timer.Stop()
	return n, err
}
