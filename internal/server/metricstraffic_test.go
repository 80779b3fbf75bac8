package server

import (
	"encoding/json"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"

	"comet/gateway/wire"
	"comet/internal/servertest"
	"comet/pubsub/redistest"
)

// tail is what publishing n messages makes of any open channel's tail.
const tail = "comet_tail_items"

// TestMetricsOfTraffic makes each thing happen that clients can do with a node,
// and compares all that is counted.
func TestMetricsOfTraffic(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	node, url, admin := startNodeWithAdmin(t, "--redis", server.Addr(), "--history-size", "100")
	w := watchMetrics(t, admin)

	sse := streamOver(t, url, "channel=news", "text/event-stream")
	w.want("a stream", `comet_connects_total{transport="sse"} +1`, `comet_connections{state="parked",transport="sse"} +1`,
		`comet_channels +1`, `comet_log_reads_total{reader="tail"} +1`)
	streamOver(t, url, "channel=news", "application/x-ndjson")
	w.want("another", `comet_connects_total{transport="ndjson"} +1`, `comet_connections{state="parked",transport="ndjson"} +1`)
	poll, answered := pollOver(t, url, "channel=news&wait=20s")
	w.want("a poll", `comet_connects_total{transport="poll"} +1`, `comet_connections{state="parked",transport="poll"} +1`)

	first := publishTo(t, url, "news", "1")
	w.want("a message",
		`comet_publishes_total{outcome="ok"} +1`, tail+" +1",
		`comet_deliveries_total{transport="sse"} +1`, `comet_deliveries_total{transport="ndjson"} +1`, `comet_deliveries_total{transport="poll"} +1`,
		`comet_disconnects_total{reason="answered",transport="poll"} +1`,
		`comet_connections{state="parked",transport="poll"} -1`, `comet_connections{state="resting",transport="poll"} +1`,
		`comet_publish_relay_seconds_count +1`, `comet_publish_written_seconds_count +3`)
	<-answered
	poll.CloseIdleConnections()
	w.want("the end of a connection that rested", `comet_connections{state="resting",transport="poll"} -1`)

	publishTo(t, url, "news", "2", "Idempotency-Key", "k")
	publishTo(t, url, "news", "2", "Idempotency-Key", "k")
	w.want("a message twice", `comet_publishes_total{outcome="ok"} +1`, `comet_publishes_total{outcome="duplicate"} +1`, tail+" +1",
		`comet_deliveries_total{transport="sse"} +1`, `comet_deliveries_total{transport="ndjson"} +1`,
		`comet_publish_relay_seconds_count +1`, `comet_publish_written_seconds_count +2`)

	once(t, http.MethodPost, url+servertest.News, "{", "Content-Type", "application/json")
	once(t, http.MethodPost, url+"/v1/publish", "{\"channel\":\"other\",\"data\":1}\n{\"channel\":\"\"}\n", "Content-Type", "application/x-ndjson")
	w.want("an invalid message, and a batch of a good and a bad one",
		`comet_publishes_total{outcome="ok"} +1`, `comet_publishes_total{outcome="refused"} +2`)

	for name, test := range map[string]struct{ query, source string }{
		"tail": {"channel=news&cursor=" + first, `comet_resumes_total{source="tail"} +1`},
		"log":  {"channel=news&last=1", `comet_resumes_total{source="log"} +1`},
	} {
		want := []string{`comet_connects_total{transport="sse"} +1`, `comet_connections{state="parked",transport="sse"} +1`,
			`comet_deliveries_total{transport="sse"} +1`, test.source}
		if name == "log" {
			want = append(want, `comet_log_reads_total{reader="replay"} +1`)
		}
		again := streamOver(t, url, test.query, "text/event-stream")
		w.want("resuming from the "+name, want...)
		again.close()
		w.want("leaving", `comet_connections{state="parked",transport="sse"} -1`, `comet_disconnects_total{reason="gone",transport="sse"} +1`)
	}

	servertest.Get(t, url+servertest.News)
	w.want("a look at the history", `comet_log_reads_total{reader="history"} +1`)

	// After a message that the log has never had.
	lost := streamOver(t, url, "channel=other&cursor=1-5", "text/event-stream")
	if gap := servertest.NextEvent(t, lost.events); gap.Kind != wire.KindGap {
		t.Errorf("after an unknown message: %+v", gap)
	}
	w.want("a gap", `comet_gaps_total{reason="restarted"} +1`, `comet_resumes_total{source="log"} +1`, `comet_log_reads_total{reader="replay"} +1`,
		`comet_connects_total{transport="sse"} +1`, `comet_connections{state="parked",transport="sse"} +1`, `comet_deliveries_total{transport="sse"} +1`,
		`comet_channels +1`, `comet_log_reads_total{reader="tail"} +1`)

	bytes := w.before[`comet_written_bytes_total{transport="sse"}`]
	publishTo(t, url, "news", strings.Repeat("9", 5000))
	sse.skip(t, 3)
	w.want("a large message", `comet_publishes_total{outcome="ok"} +1`, tail+" +1",
		`comet_deliveries_total{transport="sse"} +1`, `comet_deliveries_total{transport="ndjson"} +1`,
		`comet_publish_relay_seconds_count +1`, `comet_publish_written_seconds_count +2`)
	if more := w.before[`comet_written_bytes_total{transport="sse"}`] - bytes; more < 5000 || more > 5500 {
		t.Errorf("5000 bytes to one stream are %v", more)
	}
	for _, state := range []string{"hit", "miss"} {
		if w.before[`comet_redis_pool_requests_total{result="`+state+`"}`] == 0 {
			t.Errorf("the pool counts no %s", state)
		}
	}
	node.wantLeave()
}

// heldStream is a stream over a connection of its own.
type heldStream struct {
	events *wire.Reader
	close  func()
}

// streamOver opens a stream and reads its beginning.
func streamOver(t testing.TB, url, query, accept string) *heldStream {
	t.Helper()
	response := servertest.Ask(t, http.MethodGet, url+"/v1/events?"+query, "", "Accept", accept)
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", query, response.Status)
	}
	format := wire.SSE
	if accept == wire.NDJSON.ContentType() {
		format = wire.NDJSON
	}
	s := &heldStream{wire.NewReader(response.Body, format), func() { _ = response.Body.Close() }}
	if e := servertest.NextEvent(t, s.events); e.Kind != wire.KindReady {
		t.Fatalf("the stream begins with %+v", e)
	}
	return s
}

// skip reads n messages.
func (s *heldStream) skip(t testing.TB, n int) {
	t.Helper()
	for range n {
		if e := servertest.NextEvent(t, s.events); e.Kind != wire.KindMessage {
			t.Errorf("got %+v", e)
		}
	}
}

// pollOver begins a poll and returns when its request is sent; answered is
// closed when it is over.
func pollOver(t testing.TB, url, query string) (transport *http.Transport, answered chan struct{}) {
	t.Helper()
	transport, answered = &http.Transport{}, make(chan struct{})
	sent := make(chan struct{})
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { close(sent) }})
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/v1/poll?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(answered)
		response, err := transport.RoundTrip(r)
		if err != nil {
			t.Error(err)
			return
		}
		defer response.Body.Close()
		if err := json.NewDecoder(response.Body).Decode(new(any)); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		<-answered
		transport.CloseIdleConnections()
	})
	<-sent
	return transport, answered
}

// once sends a request over a connection that is closed with the answer, so that
// it does not count any more.
func once(t testing.TB, method, url, body string, header ...string) *http.Response {
	t.Helper()
	return servertest.Ask(t, method, url, body, append(header, "Connection", "close")...)
}

// publishTo publishes and returns the ID.
func publishTo(t testing.TB, url, channel, data string, header ...string) string {
	t.Helper()
	response := once(t, http.MethodPost, url+"/v1/channels/"+channel+"/messages", data, header...)
	var answer struct{ ID string }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || response.StatusCode != http.StatusCreated {
		t.Fatalf("publish: %s, %v", response.Status, err)
	}
	return answer.ID
}
