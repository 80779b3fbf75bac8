package gateway

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// A crowd of requests that fail does not fill the log.
func TestFailuresLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines bytes.Buffer
		g, err := New(Options{Logger: slog.New(slog.NewTextHandler(&lines, nil))})
		if err != nil {
			t.Fatal(err)
		}
		defer g.Drain(0)
		fail := func() {
			for range 10 * failuresLogged {
				g.logProblem(httptest.NewRequest("GET", "/v1/events", nil), problem(connectionsReached, "full"), errors.New("full"))
			}
		}
		for _, want := range []int{failuresLogged, 2 * failuresLogged} {
			fail()
			if got := bytes.Count(lines.Bytes(), []byte("level=WARN msg=\"request failed\"")); got != want {
				t.Errorf("%d warnings, want %d", got, want)
			}
			time.Sleep(time.Second) // of the bubble
		}
	})
}
