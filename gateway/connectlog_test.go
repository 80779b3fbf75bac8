package gateway

import (
	"io"
	"log/slog"
	"net/http/httptest"
	"testing"

	"comet/gateway/auth"
	"comet/gateway/conn"
	"comet/gateway/trace"
)

// Above debug a connection keeps nothing for the log: what ends it is what would
// without one.
func TestLoggedCostsNothing(t *testing.T) {
	for level, want := range map[slog.Level]bool{slog.LevelInfo: false, slog.LevelDebug: true} {
		handler := trace.Handler(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: level}))
		g := &Gateway{options: Options{Logger: slog.New(handler)}}
		v := &visit{Principal: &auth.Principal{}}
		r := httptest.NewRequest("GET", "/v1/events?channel=c", nil)
		ended := func(conn.CloseReason) {}
		if costs := testing.AllocsPerRun(100, func() { g.logged(r, v, conn.OverSSE, ended) }) > 0; costs != want {
			t.Errorf("at %v: allocates: %v", level, costs)
		}
	}
}
