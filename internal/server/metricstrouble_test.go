package server

import (
	"net/http"
	"testing"

	"comet/gateway/wire"
	"comet/internal/servertest"
	"comet/pubsub/redistest"
)

// TestMetricsOfTrouble has all that goes wrong with Redis counted.
func TestMetricsOfTrouble(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	node, url, admin := startNodeWithAdmin(t, "--redis", server.Addr(), "--redis-timeout", "2s")
	w := watchMetrics(t, admin)
	stream := streamOver(t, url, "channel=news", "text/event-stream")
	publishTo(t, url, "news", "1")
	stream.skip(t, 1)
	fail := func() {
		t.Helper()
		if response := once(t, http.MethodPost, url+servertest.News, "2"); response.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("published: %s", response.Status)
		}
	}

	w.await("all is counted", func(s samples) bool { return s[`comet_publish_written_seconds_count`] == 1 })
	server.KillPubSub()
	w.await("the relay is opened again and both channels are read", func(s samples) bool {
		return s[`comet_redis_errors_total{kind="broken",operation="relay"}`] == 1 && s[`comet_resyncs_total{cause="relay"}`] == 2
	})
	w.await("it is ready again", func(s samples) bool { return s["comet_ready"] == 1 && s["comet_relay_probe_age_seconds"] >= 0 })

	server.Do("CONFIG", "SET", "maxmemory", "1")
	fail()
	w.await("the refused publish is counted", func(s samples) bool { // heartbeats may be refused as well
		return s[`comet_publishes_total{outcome="unavailable"}`] == 1 && s[`comet_redis_errors_total{kind="refused",operation="publish"}`] == 1
	})
	server.Do("CONFIG", "SET", "maxmemory", "0")

	server.Freeze()
	fail()
	w.await("the outcome is unknown", func(s samples) bool {
		return s[`comet_publishes_total{outcome="outcome-unknown"}`] == 1 && s[`comet_redis_errors_total{kind="timeout",operation="publish"}`] == 1
	})
	w.await("it is not ready", func(s samples) bool { return s["comet_ready"] == 0 })
	server.Thaw()
	w.await("it is ready again", func(s samples) bool { return s["comet_ready"] == 1 })

	server.Kill()
	server.Restart() // without its data
	if gap := awaitGap(t, stream.events); gap.Gap.Reason != "restarted" {
		t.Errorf("got %+v", gap.Gap)
	}
	w.await("the gap of each channel is counted, once", func(s samples) bool {
		// comet.revocations was empty: it is restarted as well, unless that was just before.
		restarted := s[`comet_gaps_total{reason="restarted"}`]
		return restarted >= 1 && restarted+s[`comet_gaps_total{reason="failover"}`] == 2
	})
	node.wantLeave()
}

// awaitGap skips messages.
func awaitGap(t testing.TB, events *wire.Reader) wire.Event {
	t.Helper()
	for {
		if e := servertest.NextEvent(t, events); e.Kind == wire.KindGap {
			return e
		}
	}
}
