package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"comet/gateway/conn"
	"comet/gateway/trace"
)

// logBegan logs at debug that a stream or poll of v begins.
func (g *Gateway) logBegan(r *http.Request, v *visit, t conn.Transport) {
	if g.options.Logger.Enabled(r.Context(), slog.LevelDebug) {
		ctx, logger := g.connectLog(r, v, t)
		logger.DebugContext(ctx, "connected", "channels", r.URL.Query()["channel"])
	}
}

// logged is ended, which then logs too. At any level but debug it is ended
// itself, so that what is parked by the thousand keeps nothing for a log.
func (g *Gateway) logged(r *http.Request, v *visit, t conn.Transport, ended func(conn.CloseReason)) func(conn.CloseReason) {
	if !g.options.Logger.Enabled(r.Context(), slog.LevelDebug) {
		return ended
	}
	ctx, logger := g.connectLog(r, v, t)
	return g.logEnd(ctx, logger, ended)
}

// connectLog is for lines about a stream or poll of v.
func (g *Gateway) connectLog(r *http.Request, v *visit, t conn.Transport) (context.Context, *slog.Logger) {
	request := v.about(r)
	logger := g.options.Logger.With("transport", t.String(), "user", v.User, "address", v.client.Address)
	return trace.NewContext(context.Background(), &request), logger
}

// logEnd is ended with a line. It is not part of logged, where what the function
// keeps would be allocated whether it is made or not.
func (g *Gateway) logEnd(ctx context.Context, logger *slog.Logger, ended func(conn.CloseReason)) func(conn.CloseReason) {
	began := time.Now()
	return func(why conn.CloseReason) {
		ended(why)
		defer g.recoverFrom("log")
		if why != conn.FellBack {
			logger.DebugContext(ctx, "disconnected", "reason", string(why), "duration", time.Since(began))
		}
	}
}

// about is which request it is. At the door nobody has looked yet.
func (v *visit) about(r *http.Request) trace.Request {
	if v.request.Trace == (trace.ID{}) {
		v.request = trace.Of(r.Header)
	}
	return v.request
}
