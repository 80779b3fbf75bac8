package client

import (
	"context"
	"io"
	"time"
)

// watchdog cancels a request that receives nothing for idle. A peer that
// vanished without closing the connection would otherwise block it forever. It
// runs from the start, and later only during reads of the guarded body: the time
// that the caller takes for an event does not count.
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

// stop also cancels the request.
func (w *watchdog) stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// explain returns errIdle if the watchdog caused err, else err.
func (w *watchdog) explain(err error) error {
	if context.Cause(w.ctx) == errIdle {
		return errIdle
	}
	return err
}

// guard returns body with its reads under the watchdog.
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
