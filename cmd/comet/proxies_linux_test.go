package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"comet/bench"
	"comet/client"
	"comet/internal/servertest"
	"comet/internal/testenv"
	"comet/pubsub"
	"comet/pubsub/redistest"
)

// proxies are the load balancers with a file in k8s/lb.
var proxies = map[string]struct {
	file string
	args func(file, folder string) []string
	// replace is a text of the file and its replacement for a node.
	node func(i int, public, admin string) []string
}{
	"nginx": {
		file: "nginx.conf",
		args: func(file, folder string) []string {
			return []string{"-p", folder, "-c", file, "-e", "stderr", "-g", "daemon off; pid " + folder + "/pid;"}
		},
		node: func(i int, public, _ string) []string { return []string{fmt.Sprintf("comet-%d:8080", i), public} },
	},
	"haproxy": {
		file: "haproxy.cfg",
		args: func(file, _ string) []string { return []string{"-db", "-f", file} },
		node: func(i int, public, admin string) []string {
			_, port, _ := strings.Cut(admin, ":")
			return []string{fmt.Sprintf("comet-%d:8080 port 9090", i), public + " port " + port}
		},
	},
}

// TestProxies has a thousand subscribers of each kind behind a load balancer
// with the file that k8s/lb has for it, and kills a node while messages come.
func TestProxies(t *testing.T) {
	testenv.Large(t)
	for program := range proxies {
		for _, transport := range []bench.Transport{bench.SSE, bench.LongPoll} {
			t.Run(program+"/"+string(transport), func(t *testing.T) {
				b := startBalanced(t, program, atOnce...)
				r := b.load(t, transport)
				if r.Arrival.Subscribers != 1000 || r.Delivery.Expected == 0 || r.Delivery.Received < r.Delivery.Expected {
					t.Errorf("arrival %+v, delivery %+v", r.Arrival, r.Delivery)
				}
				if x := r.Trouble; x.Lost+x.Repeated+x.OutOfOrder+x.Unknown+x.Gaps != 0 || x.Orders != 0 {
					t.Errorf("trouble %+v", x)
				}
			})
		}
		t.Run(program+"/ndjson", func(t *testing.T) {
			b := startBalanced(t, program, atOnce...)
			b.lines(t)
		})
	}
}

// atOnce makes a node end without waiting for load balancers or clients.
var atOnce = []string{"--drain-delay", "0s", "--drain-spread", "0s"}

// balanced is three nodes behind a load balancer.
type balanced struct {
	url   string
	nodes []*process
	args  [][]string // to start each node again where it was
	admin []string   // addresses
}

// startBalanced starts them; the nodes have args besides those they need.
func startBalanced(t testing.TB, program string, args ...string) *balanced {
	t.Helper()
	proxy := proxies[program]
	path := testenv.Program(t, program)
	text := readFile(t, filepath.Join(module, "k8s", "lb", proxy.file))
	redis := redistest.Start(t)
	b := &balanced{}
	for i := range 3 {
		public, admin := freeAddress(t), freeAddress(t)
		serve := []string{"serve", "--redis", redis.Addr(), "--http-listen", public, "--admin-listen", admin, "--node", fmt.Sprint("n", i+1)}
		b.args, b.admin = append(b.args, append(serve, args...)), append(b.admin, admin)
		b.nodes = append(b.nodes, nil)
		b.start(t, i)
		replacement := proxy.node(i+1, public, admin)
		text = replaceOnce(t, text, replacement[0], replacement[1])
	}
	address := freeAddress(t)
	_, port, _ := strings.Cut(address, ":")
	for _, listen := range []string{"listen 80;", "bind :80\n"} {
		text = strings.Replace(text, listen, strings.Replace(listen, "80", port, 1), 1)
	}
	folder := t.TempDir()
	file := filepath.Join(folder, proxy.file)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	runProxy(t, path, proxy.args(file, folder))
	b.url = "http://" + address
	awaitAnswer(t, b.url+"/v1/poll?channel=x&wait=0s")
	return b
}

// start starts a node, and waits until it serves.
func (b *balanced) start(t testing.TB, i int) {
	t.Helper()
	b.nodes[i] = setup{environ: []string{"COMET_ADMIN_TOKEN=" + servertest.AdminToken}}.start(t, b.args[i]...)
	b.nodes[i].awaitErr(`msg=serving`)
}

// awaitAnswer asks until a node answers.
func awaitAnswer(t testing.TB, url string) { awaitAnswerOf(t, url, "") }

// awaitAnswerOf asks until the node of that name answers, or any if it is empty.
func awaitAnswerOf(t testing.TB, url, node string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	ticks := time.NewTicker(20 * time.Millisecond)
	defer ticks.Stop()
	for {
		if r, err := http.Get(url); err == nil {
			r.Body.Close()
			if r.StatusCode == http.StatusOK && (node == "" || r.Header.Get("Comet-Node") == node) {
				return
			}
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			t.Fatal("the load balancer does not answer")
		}
	}
}

// runProxy runs a program until t ends.
func runProxy(t testing.TB, path string, args []string) {
	t.Helper()
	log := servertest.NewOutput()
	c := exec.Command(path, args...)
	c.Stdout, c.Stderr = log, log
	ended, err := testenv.StartProcess(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Signal(os.Interrupt) // its workers end with it
		<-ended
		if t.Failed() {
			text := log.String()
			t.Logf("%s:\n%s", path, text[max(0, len(text)-2000):])
		}
	})
}

// load runs a thousand subscribers, and kills a node in the second second of delivery.
func (b *balanced) load(t *testing.T, transport bench.Transport) *bench.Result {
	t.Helper()
	delivering, killed := 0, false
	r, err := bench.Run(t.Context(), bench.Plan{
		Target:      bench.Target{Nodes: []string{b.url}},
		Subscribers: 1000, Channels: 20, Transport: transport,
		Rate: 20, Duration: 6 * time.Second, Publishers: 4, Patience: time.Minute,
	}, bench.Options{
		Hosts: []bench.WorkerHost{bench.InProcess()},
		Progress: func(s bench.Second) {
			if s.Deliveries > 0 {
				delivering++
			}
			if delivering == 2 && s.Phase == "deliver" {
				killed = b.nodes[1].command.Process.Kill() == nil
			}
		},
	})
	if err != nil || !killed {
		t.Fatalf("killed %v, %v", killed, err)
	}
	t.Logf("latency %.0f ms (p50), %.0f ms (p99); errors %v", r.Delivery.Latency.P50, r.Delivery.Latency.P99, r.Trouble.Errors)
	return r
}

// BenchmarkProxies measures the latency of single events: HAProxy without
// http-no-delay delays each by 209 ms (p50, November 2026).
func BenchmarkProxies(b *testing.B) {
	for program := range proxies {
		b.Run(program, func(b *testing.B) {
			balanced := startBalanced(b, program, atOnce...)
			for b.Loop() {
				r, err := bench.Run(b.Context(), bench.Plan{
					Target: bench.Target{Nodes: []string{balanced.url}}, Subscribers: 1, Rate: 10, Messages: 20,
				}, bench.Options{Hosts: []bench.WorkerHost{bench.InProcess()}})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(r.Delivery.Latency.P50, "ms-p50")
			}
		})
	}
}

// lines runs fifty readers of NDJSON, and kills a node in the middle.
func (b *balanced) lines(t *testing.T) {
	const readers, messages = 50, 60
	publisher, err := client.New(client.Options{URLs: []string{b.url}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	var reading sync.WaitGroup
	for range readers {
		reading.Go(func() {
			if got := readLines(ctx, b.url, messages); got != numbers(1, messages) {
				t.Errorf("a reader got %q", got)
			}
		})
	}
	for n := range messages {
		if n == messages/2 {
			_ = b.nodes[1].command.Process.Kill()
		}
		d := pubsub.Draft{Channel: "lines", Data: []byte(fmt.Sprint(n + 1)), Key: fmt.Sprint("k", n)}
		if _, err := publisher.Publish(ctx, d); err != nil {
			t.Errorf("publish: %v", err)
		}
	}
	reading.Wait()
}

// readLines reads a number of messages of the channel lines, the oldest first, and
// resumes after a disconnect. It returns the payloads, one per line.
func readLines(ctx context.Context, url string, messages int) string {
	var got strings.Builder
	cursor := "earliest"
	for n := 0; n < messages && ctx.Err() == nil; {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/v1/events?channel=lines&cursor="+cursor, nil)
		if err != nil {
			return err.Error()
		}
		request.Header.Set("Accept", "application/x-ndjson")
		r, err := http.DefaultClient.Do(request)
		if err != nil {
			continue
		}
		for s := bufio.NewScanner(r.Body); n < messages && s.Scan(); {
			var m struct {
				ID   string
				Data json.RawMessage
				Type string
			}
			if json.Unmarshal(s.Bytes(), &m) == nil && m.Type == "message" {
				cursor = m.ID
				fmt.Fprintf(&got, "%s\n", m.Data)
				n++
			}
		}
		r.Body.Close()
	}
	return got.String()
}

// replaceOnce replaces old, which must occur once.
func replaceOnce(t testing.TB, text, old, replacement string) string {
	t.Helper()
	if n := strings.Count(text, old); n != 1 {
		t.Fatalf("%q is there %d times", old, n)
	}
	return strings.Replace(text, old, replacement, 1)
}
