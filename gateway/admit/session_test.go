package admit

import (
	"io"
	"log/slog"
	"net/http/httptest"
	"testing"

	"comet/gateway/auth"
	"comet/gateway/conn"
	"comet/gateway/limit"
	"comet/gateway/trace"
)

// Above debug a connection keeps nothing for the log: what ends it is what would
// without one.
func TestLoggedCostsNothing(t *testing.T) {
	for level, want := range map[slog.Level]bool{slog.LevelInfo: false, slog.LevelDebug: true} {
		handler := trace.Handler(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: level}))
		c := New(Options{Logger: slog.New(handler)})
		caller := &Caller{Principal: &auth.Principal{}, Rules: c.SetRules(Rules{Limiter: limit.New(limit.Options{})})}
		a := &Admission{
			controller: c, caller: caller, Subscription: &Subscription{Transport: conn.OverSSE},
			Request: httptest.NewRequest("GET", "/v1/events?channel=c", nil),
		}
		if costs := testing.AllocsPerRun(100, func() { _ = c.newSession(a).EndFunc() }) > 0; costs != want {
			t.Errorf("at %v: allocates: %v", level, costs)
		}
	}
}
