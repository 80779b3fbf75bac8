package server

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"comet/config"
	"comet/gateway/wire"
	"comet/internal/servertest"
	"comet/internal/testenv"
	"comet/pubsub"
)

// runNode runs a node in this process until t ends, with at most that
// number of connections, and of streams and polls (0: any number).
func runNode(t *testing.T, connections, held int) *node {
	t.Helper()
	n := makeNode(t, connections, held)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return n
}

// makeNode makes a node that the test runs.
func makeNode(t *testing.T, connections, held int) *node {
	t.Helper()
	settings, err := config.Load(config.Source{})
	if err != nil {
		t.Fatal(err)
	}
	settings.Limits.Connections = held
	l, err := listen("http.listen", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := newChannelRules(&settings.Settings)
	if err != nil {
		t.Fatal(err)
	}
	broker, err := newBroker(t.Context(), &settings.Settings, rules, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	who, err := newAccess(&settings.Settings, l.Addr(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	n, err := newNode("n", build{}, &settings.Settings, rules, who, broker, l, connections, "", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// metricsOf is what n exports.
func metricsOf(t *testing.T, n *node) string {
	t.Helper()
	answer := httptest.NewRecorder()
	newMetrics(n, slog.New(slog.DiscardHandler)).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if answer.Code != http.StatusOK {
		t.Fatalf("/metrics: %d\n%s", answer.Code, answer.Body)
	}
	return answer.Body.String()
}

// wantMetrics waits until all of these are there as whole lines: a client may
// have its answer before the node has parked it.
func wantMetrics(t *testing.T, n *node, lines ...string) {
	t.Helper()
	late := time.After(testenv.Patience)
	ticks := time.NewTicker(5 * time.Millisecond)
	defer ticks.Stop()
	for {
		text := metricsOf(t, n)
		lacks := slices.IndexFunc(lines, func(line string) bool { return !strings.Contains(text, "\n"+line+"\n") })
		if lacks < 0 {
			return
		}
		select {
		case <-ticks.C:
		case <-late:
			t.Fatalf("no line %s in\n%s", lines[lacks], ownMetrics.FindAllString(text, -1))
		}
	}
}

var ownMetrics = regexp.MustCompile(`(?m)^comet_.*$`)

func TestMetricsAtTheDescriptorLimit(t *testing.T) {
	t.Parallel()
	n := runNode(t, 2, 0)
	wantMetrics(t, n,
		`comet_connections{state="parked",transport="sse"} 0`,
		`comet_connections_refused_total{reason="descriptors"} 0`,
		`comet_connections_refused_total{reason="limit"} 0`)
	var streams []*wire.Reader
	for range 2 {
		events, _ := servertest.OpenStream(t, n.url()+"/v1/events?channel=news")
		streams = append(streams, events)
	}
	for range 3 {
		if response := servertest.Get(t, n.url()+"/v1/events?channel=news"); response.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("one too many: %s", response.Status)
		}
	}
	wantMetrics(t, n,
		`comet_connections_limit{reason="descriptors"} 2`,
		`comet_connections_limit{reason="limit"} 0`,
		`comet_connections{state="parked",transport="sse"} 2`,
		`comet_connections_refused_total{reason="descriptors"} 3`,
		`comet_connections_refused_total{reason="limit"} 0`)
	receipts := n.hub.Publish(t.Context(), []pubsub.Draft{{Channel: "news", Type: pubsub.DefaultType, Data: []byte(`"still there"`)}})
	if receipts[0].Err != nil {
		t.Fatal(receipts[0].Err)
	}
	for _, events := range streams {
		if e := servertest.NextEvent(t, events); e.Kind != wire.KindMessage || string(e.Message.Data) != `"still there"` {
			t.Errorf("a stream that was there got %+v", e)
		}
	}
}

// TestMetricsAtTheLimit also has a poll that is refused on the connection of
// one that was parked: it is checked twice and counts once.
func TestMetricsAtTheLimit(t *testing.T) {
	t.Parallel()
	n := runNode(t, 100, 1)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: testenv.Patience}
	poll := func(query string) (status int, cursor string) {
		t.Helper()
		response, err := client.Get(n.url() + "/v1/poll?channel=news&" + query)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		var answer struct{ Cursor string }
		if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, answer.Cursor
	}
	status, cursor := poll("wait=100ms")
	if status != http.StatusOK {
		t.Fatalf("the first poll: %d", status)
	}
	servertest.OpenStream(t, n.url()+"/v1/events?channel=news")
	wantMetrics(t, n, `comet_connections_refused_total{reason="limit"} 0`)
	if status, _ := poll("cursor=" + cursor); status != http.StatusServiceUnavailable {
		t.Errorf("a poll too many: %d", status)
	}
	wantMetrics(t, n, `comet_connections_refused_total{reason="limit"} 1`)
	if response := servertest.Get(t, n.url()+"/v1/events?channel=news"); response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a stream too many: %s", response.Status)
	}
	wantMetrics(t, n,
		`comet_connections_refused_total{reason="descriptors"} 0`,
		`comet_connections_refused_total{reason="limit"} 2`)
}

// TestMetricsDocumented compares the table in docs/operations.md with what is
// exported: names, types and meaning.
func TestMetricsDocumented(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[string]string)
	for _, row := range regexp.MustCompile("(?m)^\\| `(comet_\\w+)` \\| (.*) \\|$").FindAllStringSubmatch(string(document), -1) {
		documented[row[1]] = row[2]
	}
	text := metricsOf(t, runNode(t, 100, 0))
	exported := make(map[string]string)
	for _, family := range regexp.MustCompile(`(?m)^# HELP (\w+) (.*)\n# TYPE \w+ (\w+)$`).FindAllStringSubmatch(text, -1) {
		name, help, kind := family[1], family[2], family[3]
		switch prefix, _, _ := strings.Cut(name, "_"); prefix {
		case "comet":
			exported[name] = kind + " | " + help
		case "go", "process":
		default:
			t.Errorf("%s has an unknown prefix", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(exported)) {
		if documented[name] != exported[name] {
			t.Errorf("docs/operations.md lacks the row\n| `%s` | %s |", name, exported[name])
		}
		delete(documented, name)
	}
	for name := range documented {
		t.Errorf("docs/operations.md has %s, which there is not", name)
	}
}
