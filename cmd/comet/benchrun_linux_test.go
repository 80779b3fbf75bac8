package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"comet/bench"
)

// benchArgs is a short run against nodes.
func benchArgs(nodes string, more ...string) []string {
	return append([]string{"bench", "run", "--nodes", nodes, "--subscribers", "40", "--channels", "4", "--settle", "0s",
		"--rate", "100", "--duration", "1s", "--patience", "1m"}, more...)
}

func TestBenchRun(t *testing.T) {
	t.Parallel()
	node, url := startNode(t)
	page := filepath.Join(t.TempDir(), "report.html")
	p := runToEnd(t, benchArgs(url, "--json", "-", "--report", page, "--publishers", "2", "--pid", fmt.Sprint(node.command.Process.Pid))...)
	p.wantExit(exitOK)
	if text := p.errOut.String(); !strings.Contains(text, "\nmessages lost: 0 (of 1,000 to deliver)\n") {
		t.Error("the table is not in the error output")
	}
	r := readResult(t, p.out.String())
	if r.Delivery.Received != 1000 || r.Delivery.Expected != 1000 || r.Arrival.Subscribers != 40 || r.Publish.Acknowledged != 100 {
		t.Errorf("arrival %+v, publish %+v, delivery %+v", r.Arrival, r.Publish, r.Delivery)
	}
	if r.Delivery.Latency.Count != 1000 || len(r.Delivery.Latency.Curve) == 0 || len(r.Timeline) == 0 || r.Cost.ServerCPUSeconds == 0 {
		t.Errorf("latency %+v, %d seconds, cost %+v", r.Delivery.Latency, len(r.Timeline), r.Cost)
	}
	if html, err := os.ReadFile(page); err != nil || !strings.Contains(string(html), "messages lost: 0") {
		t.Errorf("the page has %d bytes, %v", len(html), err)
	}
}

func TestBenchTransports(t *testing.T) {
	t.Parallel()
	_, url := startNode(t, "--bayeux-enabled")
	for _, transport := range []string{"sse", "poll", "short-poll", "bayeux", "mixed"} {
		p := runToEnd(t, benchArgs(url, "--transport", transport, "--interval", "200ms", "--churn", "10%")...)
		p.wantExit(exitOK)
		if !strings.HasPrefix(p.out.String(), "messages lost: 0 (of 1,000 to deliver)\n") {
			t.Errorf("%s: output\n%s", transport, p.out)
		}
	}
}

func TestBenchIdle(t *testing.T) {
	t.Parallel()
	_, url := startNode(t)
	p := runToEnd(t, benchArgs(url, "--rate", "0", "--duration", "0")...)
	p.wantExit(exitOK)
	if !strings.HasPrefix(p.out.String(), "messages lost: 0 (nothing was to be delivered)\n") {
		t.Errorf("output\n%s", p.out)
	}
}

// TestBenchNoticesLoss runs a load test of a server that drops deliveries.
func TestBenchNoticesLoss(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(&loser{streams: make(map[string][]chan string), published: make(map[string]int)})
	t.Cleanup(server.Close)
	p := runToEnd(t, benchArgs(server.URL, "--patience", "5s", "--json", filepath.Join(t.TempDir(), "r.json"),
		"--subscribe-url", "/events?channel={channel}", "--publish-url", "/publish?channel={channel}")...)
	p.wantExit(exitFailure)
	if !strings.HasPrefix(p.out.String(), "messages lost: 4 (of 1,000 to deliver)\n") { // one per channel
		t.Errorf("output\n%s", p.out)
	}
	if text := p.errOut.String(); !strings.HasSuffix(text, "comet: messages lost: 4, repeated: 0, out of order: 0, channels with several orders: 0\n") {
		t.Errorf("error output\n%s", text)
	}
}

// loser is a server of streams that does not send the tenth message of a
// channel to its first subscriber.
type loser struct {
	mu        sync.Mutex
	streams   map[string][]chan string
	published map[string]int
}

func (l *loser) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	channel := r.URL.Query().Get("channel")
	if r.Method == http.MethodGet {
		l.stream(w, r, channel)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.published[channel]++
	for i, s := range l.streams[channel] {
		if i > 0 || l.published[channel] != 10 {
			s <- string(body)
		}
	}
}

func (l *loser) stream(w http.ResponseWriter, r *http.Request, channel string) {
	messages := make(chan string, 1000) // more than a test sends, so that no publish blocks
	l.mu.Lock()
	l.streams[channel] = append(l.streams[channel], messages)
	l.mu.Unlock()
	w.Header().Set("Content-Type", "text/event-stream")
	for flush := http.NewResponseController(w); flush.Flush() == nil; {
		select {
		case m := <-messages:
			fmt.Fprintf(w, "data: %s\n\n", m)
		case <-r.Context().Done():
			return
		}
	}
}

func TestBenchInterrupted(t *testing.T) {
	t.Parallel()
	_, url := startNode(t)
	p := start(t, benchArgs(url, "--duration", "10m")...)
	p.awaitErr(`s  deliver .*40 connected, [1-9]`)
	p.signal(os.Interrupt)
	p.wantExit(exitInterrupted)
	if text := p.out.String(); !strings.HasPrefix(text, "messages lost: 0 ") || !strings.Contains(text, "\ninterrupted: these are the results so far\n") {
		t.Errorf("output\n%s", text)
	}
}

func TestBenchServerTrouble(t *testing.T) {
	t.Parallel()
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no", http.StatusUnauthorized)
	}))
	t.Cleanup(refuses.Close)
	for url, want := range map[string]struct {
		lines int // one for each thing that does not work
		text  string
	}{
		"http://127.0.0.1:1": {1, `refused`},
		refuses.URL:          {2, `401 .*token`},
	} {
		p := runToEnd(t, benchArgs(url)...)
		p.wantExit(exitFailure)
		p.wantOut("")
		p.wantErrOut(want.lines, "^comet: ", want.text)
	}
}

func TestBenchAgents(t *testing.T) {
	t.Parallel()
	_, url := startNode(t)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var agents []string
	for range 2 {
		agent := start(t, "bench", "agent", "--listen", "127.0.0.1:0", "--token-file", file)
		agents = append(agents, agent.awaitOut(`agent on (\S+)\n`)[1])
	}
	args := benchArgs(url, "--agents", strings.Join(agents, ","), "--json", "-")
	p := setup{environ: []string{agentTokenVariable + "=secret"}}.runToEnd(t, args...)
	p.wantExit(exitOK)
	if r := readResult(t, p.out.String()); r.Delivery.Received != 1000 || r.Workers < 2 {
		t.Errorf("%d workers, delivery %+v", r.Workers, r.Delivery)
	}
	p = setup{environ: []string{agentTokenVariable + "=wrong"}}.runToEnd(t, args...)
	p.wantExit(exitFailure)
	p.wantErrOut(1, `^comet: .*token`)
}

// TestBenchAgentOnce starts a load test before its agent. The agent ends after
// the load test.
func TestBenchAgentOnce(t *testing.T) {
	t.Parallel()
	_, url := startNode(t)
	address := freeAddress(t)
	environ := setup{environ: []string{agentTokenVariable + "=secret"}}
	load := environ.start(t, benchArgs(url, "--agents", address, "--agent-wait", "40s")...)
	agent := environ.start(t, "bench", "agent", "--listen", address, "--once")
	load.wantExit(exitOK)
	agent.wantExit(exitOK)
	late := environ.runToEnd(t, benchArgs(url, "--agents", address, "--agent-wait", "1ms")...)
	late.wantExit(exitFailure)
	late.wantErrOut(1, `^comet: .*refused`)
}

// freeAddress returns an address on which nothing listens.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestBenchCompare(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := func(name string) string { return filepath.Join(folder, name) }
	// The node does not inherit the environment's settings.
	p := setup{environ: []string{"COMET_HTTP_LISTEN=nonsense"}}.runToEnd(t, "bench", "compare", "--subscribers", "3,6",
		"--rate", "10", "--duration", "1s", "--interval", "200ms", "--settle", "0s",
		"--markdown", file("c.md"), "--json", file("c.json"), "--report", file("c.html"))
	p.wantExit(exitOK)
	for _, want := range []string{"3 clients ", "6 clients ", "short-poll", "messages lost"} {
		if !strings.Contains(p.out.String(), want) {
			t.Errorf("output without %q:\n%s", want, p.out)
		}
	}
	markdown := readFile(t, file("c.md"))
	if got := strings.Count(markdown, "\n"); got != 8 {
		t.Errorf("%d lines of Markdown:\n%s", got, markdown)
	}
	if html := readFile(t, file("c.html")); strings.Count(html, "<figure>") < 6 {
		t.Errorf("the page is\n%s", html)
	}
	var results []bench.Result
	if err := json.Unmarshal([]byte(readFile(t, file("c.json"))), &results); err != nil || len(results) != 6 {
		t.Fatalf("%d results, %v", len(results), err)
	}
	for _, r := range results {
		if n := int64(r.Plan.Subscribers) * 10; r.Delivery.Received != n || r.Delivery.Expected != n {
			t.Errorf("%s, %d clients: %+v", r.Plan.Transport, r.Plan.Subscribers, r.Delivery)
		}
	}
}

func readResult(t *testing.T, text string) (r bench.Result) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatalf("%v, of\n%s", err, text)
	}
	return r
}
