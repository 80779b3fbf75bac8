package metrics

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWarnings(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		w := NewWarnings(slog.New(slog.NewTextHandler(&log, nil)))
		for range 5 {
			w.Warn("something is wrong", "channel", "news")
		}
		time.Sleep(time.Minute)
		w.Warn("something is wrong", "channel", "news")
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != 2 || !strings.HasSuffix(lines[0], "more_since_last_warning=0") || !strings.HasSuffix(lines[1], "channel=news more_since_last_warning=4") {
			t.Errorf("logged %q", lines)
		}
	})
}
