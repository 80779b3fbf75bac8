package server

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"comet/gateway/wire"
	"comet/internal/servertest"
	"comet/pubsub/redistest"
)

// spanCollector takes spans as one of OpenTelemetry does.
type spanCollector struct {
	t   testing.TB
	url string

	mu    sync.Mutex
	spans []collectedSpan
}

type collectedSpan struct {
	*otlp.Span
	node string
}

func newSpanCollector(t testing.TB) *spanCollector {
	c := &spanCollector{t: t}
	server := httptest.NewServer(http.HandlerFunc(c.take))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

func (c *spanCollector) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var request otlp.TracesData
	if err != nil || proto.Unmarshal(body, &request) != nil || r.URL.Path != "/v1/traces" {
		c.t.Errorf("%s: not spans: %v", r.URL, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, from := range request.ResourceSpans {
		node := ""
		for _, a := range from.Resource.Attributes {
			if a.Key == "service.instance.id" {
				node = a.Value.GetStringValue()
			}
		}
		for _, scope := range from.ScopeSpans {
			for _, s := range scope.Spans {
				c.spans = append(c.spans, collectedSpan{s, node})
			}
		}
	}
}

// named are the spans of a name, by node.
func (c *spanCollector) named(name string) []collectedSpan {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := slices.DeleteFunc(slices.Clone(c.spans), func(s collectedSpan) bool { return s.Name != name })
	slices.SortFunc(found, func(a, b collectedSpan) int { return strings.Compare(a.node, b.node) })
	return found
}

func (s *collectedSpan) attribute(key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			return strings.Trim(strings.TrimPrefix(strings.TrimPrefix(a.Value.String(), "string_value:"), "int_value:"), `"`)
		}
	}
	return ""
}

// A publish is one trace over all nodes: from the client's request to the first
// subscriber at each node, whatever that subscribes by.
func TestTracing(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	for name, path := range map[string]string{
		"stream":                     "/v1/events?channel=news",
		"stream of several channels": "/v1/events?channel=news&channel=sport",
		"poll":                       "/v1/poll?channel=news&wait=40s",
		"over HTTP/2":                "/v1/events?channel=news",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newSpanCollector(t)
			flags := []string{"--redis", redis.Addr(), "--redis-prefix", strings.ReplaceAll(strings.ReplaceAll(name, " ", "-"), "/", ""),
				"--tracing-endpoint", c.url, "--tracing-sample", "0", "--log-level", "debug"}
			if name == "over HTTP/2" {
				cert, key := servertest.NewCertificate(t, 1)
				flags = append(flags, "--http-tls-cert", servertest.NewFile(t, string(cert)), "--http-tls-key", servertest.NewFile(t, string(key)))
			}
			var nodes []*running
			var urls []string
			var polls []chan string // their answers
			var streams []*wire.Reader
			for _, node := range []string{"a", "b"} {
				p, url := startNode(t, append(flags, "--node", node)...)
				nodes, urls = append(nodes, p), append(urls, url)
				if name == "poll" {
					servertest.Body(t, servertest.Get(t, url+"/v1/poll?channel=news&wait=1ms")) // now the channel is open
					polls = append(polls, inBackground(url+path))
					p.awaitLog(`(?s)msg=connected .*msg=connected `) // it waits
				} else {
					streams = append(streams, streamOf(t, servertest.Ask(t, http.MethodGet, url+path, "")))
				}
			}
			if r := servertest.Ask(t, http.MethodPost, urls[0]+servertest.News, `"Hello"`, "Traceparent", "00-"+traceID+"-00f067aa0ba902b7-01"); r.StatusCode != http.StatusCreated {
				t.Fatalf("publish: %s", r.Status)
			}
			for _, answer := range polls {
				if body := <-answer; !strings.Contains(body, "Hello") {
					t.Errorf("polled %s", body)
				}
			}
			for _, s := range streams {
				if e := servertest.NextEvent(t, s); e.Kind != wire.KindMessage || string(e.Message.Data) != `"Hello"` {
					t.Errorf("the stream has %+v", e)
				}
			}
			for _, p := range nodes {
				p.wantLeave()
			}
			c.wantTrace()
		})
	}
}

// inBackground polls.
func inBackground(url string) (answer chan string) {
	answer = make(chan string, 1)
	go func() {
		text := "nothing"
		if r, err := http.Get(url); err == nil {
			body, _ := io.ReadAll(r.Body)
			r.Body.Close()
			text = string(body)
		}
		answer <- text
	}()
	return answer
}

// wantTrace wants the one trace of a publish at node a, with spans of node b
// too.
func (c *spanCollector) wantTrace() {
	c.t.Helper()
	publishes, relays, writes := c.named("publish"), c.named("relay"), c.named("write")
	if len(publishes) != 1 || len(relays) != 2 || len(writes) != 2 {
		c.t.Fatalf("%d publishes, %d relays, %d writes", len(publishes), len(relays), len(writes))
	}
	p := publishes[0]
	if p.node != "a" || hex.EncodeToString(p.ParentSpanId) != "00f067aa0ba902b7" {
		c.t.Errorf("published at %s under %x", p.node, p.ParentSpanId)
	}
	for key, want := range map[string]string{"comet.outcome": "published", "comet.channel": "news", "comet.messages": "1", "comet.bytes": "7"} {
		if got := p.attribute(key); got != want {
			c.t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	for i, node := range []string{"a", "b"} {
		relay, write := relays[i], writes[i]
		if relay.node != node || string(relay.ParentSpanId) != string(p.SpanId) {
			c.t.Errorf("relay to %s under %x, want to %s under %x", relay.node, relay.ParentSpanId, node, p.SpanId)
		}
		if write.node != node || string(write.ParentSpanId) != string(relay.SpanId) {
			c.t.Errorf("write at %s under %x, want at %s under %x", write.node, write.ParentSpanId, node, relay.SpanId)
		}
		if write.StartTimeUnixNano != relay.EndTimeUnixNano || write.EndTimeUnixNano < write.StartTimeUnixNano || relay.EndTimeUnixNano < relay.StartTimeUnixNano {
			c.t.Errorf("at %s relay %d to %d, write %d to %d", node, relay.StartTimeUnixNano, relay.EndTimeUnixNano, write.StartTimeUnixNano, write.EndTimeUnixNano)
		}
	}
	for _, s := range c.spans {
		if hex.EncodeToString(s.TraceId) != traceID {
			c.t.Errorf("%s is of trace %x", s.Name, s.TraceId)
		}
	}
}

// The program that begins a trace decides whether it is kept; of those that begin here the
// setting says how many. One that is kept is called as in the log.
func TestTracingSample(t *testing.T) {
	t.Parallel()
	c := newSpanCollector(t)
	node, url := startNode(t, "--tracing-endpoint", c.url+"/v1/traces", "--log-level", "debug", "--limits-message", "3B")
	servertest.Ask(t, http.MethodPost, url+servertest.News, "1", "Traceparent", "00-"+traceID+"-00f067aa0ba902b7-00")
	servertest.Ask(t, http.MethodPost, url+servertest.News, "too large")
	servertest.Ask(t, http.MethodPost, url+"/v1/publish", `[{"channel": "news", "data": 1}, {"channel": "other", "data": 22}]`, "Content-Type", "application/json")
	node.wantLeave()
	inLog := node.awaitLog(`problem=too-large .* trace_id=([0-9a-f]{32})`)[1]
	spans := c.named("publish")
	if len(spans) != 2 {
		t.Fatalf("%d spans, want 2", len(spans))
	}
	refused, batch := spans[0], spans[1]
	if got := refused.attribute("comet.outcome"); got != "too-large" || hex.EncodeToString(refused.TraceId) != inLog || len(refused.ParentSpanId) != 0 {
		t.Errorf("%s in trace %x under %x, which the log calls %s", got, refused.TraceId, refused.ParentSpanId, inLog)
	}
	if batch.attribute("comet.outcome") != "batch" || batch.attribute("comet.messages") != "2" || batch.attribute("comet.bytes") != "3" {
		t.Errorf("a batch is %v", batch.Attributes)
	}
}

// A collector that is away is logged once, and harms no client.
func TestTracingAway(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "100")
	node, url := startNode(t, "--tracing-endpoint", gone.URL)
	wantStatus(t, "without a collector", url, 1, http.StatusCreated)
	node.awaitLog(`level=WARN msg="spans lost" node=\S+ setting=tracing.endpoint`)
	wantStatus(t, "without a collector", url, 1, http.StatusCreated)
	node.wantLeave()
	if n := strings.Count(node.log.String(), "spans lost"); n != 1 {
		t.Errorf("logged %d times", n)
	}
}
