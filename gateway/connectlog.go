package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"comet/gateway/conn"
	"comet/gateway/trace"
)

// logged logs at debug a stream or poll of v that begins, and returns what to
// call when it is over, which logs that too. At any other level it is ended
// itself, so that what is parked by the thousand keeps nothing for a log. Why a
// poll is over nobody knows: most have been answered.
func (g *Gateway) logged(r *http.Request, v *visit, transport string, ended func(conn.Bye)) func(conn.Bye) {
	if !g.options.Logger.Enabled(r.Context(), slog.LevelDebug) {
		return ended
	}
	request := v.about(r)
	ctx := trace.NewContext(context.Background(), &request)
	logger := g.options.Logger.With("transport", transport, "user", v.User, "address", v.client.Address)
	logger.DebugContext(ctx, "connected", "channels", r.URL.Query()["channel"])
	return logEnd(ctx, logger, transport != "poll", ended)
}

// logEnd is ended with a line. It is not part of logged, where what the function
// keeps would be allocated whether it is made or not.
func logEnd(ctx context.Context, logger *slog.Logger, why bool, ended func(conn.Bye)) func(conn.Bye) {
	began := time.Now()
	return func(bye conn.Bye) {
		ended(bye)
		l := logger
		if why {
			l = l.With("reason", string(bye))
		}
		l.DebugContext(ctx, "disconnected", "duration", time.Since(began))
	}
}

// about is which request it is. At the door nobody has looked yet.
func (v *visit) about(r *http.Request) trace.Request {
	if v.request.Trace == (trace.ID{}) {
		return trace.Of(r.Header)
	}
	return v.request
}
