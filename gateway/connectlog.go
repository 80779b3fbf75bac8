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
	logger := g.options.Logger
	if !logger.Enabled(r.Context(), slog.LevelDebug) {
		return ended
	}
	request := v.about(r)
	ctx := trace.NewContext(context.Background(), &request)
	logger = logger.With("transport", transport, "user", v.User, "address", v.client.Address)
	logger.DebugContext(ctx, "connected", "channels", r.URL.Query()["channel"])
	began := time.Now()
	return func(why conn.Bye) {
		ended(why)
		if transport != "poll" {
			logger = logger.With("reason", string(why))
		}
		logger.DebugContext(ctx, "disconnected", "duration", time.Since(began))
	}
}

// about is which request it is. At the door nobody has looked yet.
func (v *visit) about(r *http.Request) trace.Request {
	if v.request.Trace == (trace.ID{}) {
		return trace.Of(r.Header)
	}
	return v.request
}
