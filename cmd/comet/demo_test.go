package main

import (
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"

	"comet/gateway/wire"
	"comet/internal/servertest"
	"comet/pubsub/cluster"
	"comet/pubsub/redistest"
)

func TestDemo(t *testing.T) {
	t.Parallel()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		testDemo(t)
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		testDemo(t, "--redis", redistest.Start(t).Addr())
	})
}

func testDemo(t *testing.T, flags ...string) {
	demo := start(t, append([]string{"demo", "--listen", "127.0.0.1:0"}, flags...)...)
	demo.awaitOut("Ctrl-C ends it")
	front := demo.awaitOut(`chat +(\S+)`)[1]
	for _, name := range []string{"node-1", "node-2", "node-3"} {
		address := demo.awaitOut(name + ` +(\S+)`)[1]
		if got := servertest.Get(t, address).Header.Get("Comet-Node"); got != name {
			t.Errorf("at the address of %s is %q", name, got)
		}
	}
	checkChat(t, front)
	checkRebinding(t, front, "/demo/token", "/v1/channels/chat/lobby/messages", "/")
	checkRebinding(t, demo.awaitOut(`node-2 +(\S+)`)[1], "/v1/channels/chat/lobby/messages")
	checkDashboard(t, demo.awaitOut(`dashboard +(\S+)`)[1])
	checkTurns(t, front)
	checkLoopbackPages(t, front)
	streams := checkCrossing(t, front)
	demo.wantLeave(syscall.SIGINT)
	for _, events := range streams {
		for err := error(nil); err == nil; { // to the end, or t's deadline
			_, err = events.Next()
		}
	}
	demo.wantErrOut(0)
}

// checkRebinding checks that the listener at url refuses a browser that reached it
// by the name of another site (DNS rebinding).
func checkRebinding(t *testing.T, url string, paths ...string) {
	t.Helper()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			for host, refused := range map[string]bool{"evil.example:" + port: true, "localhost:" + port: false, "chat.example": false} {
				r := askAs(t, host, method, url+path, "Origin", "http://"+host)
				if (r.StatusCode == http.StatusMisdirectedRequest) != refused {
					t.Errorf("%s %s of %s: %s", method, path, host, r.Status)
				}
			}
		}
	}
}

// askAs sends a request with the given Host instead of the URL's.
func askAs(t *testing.T, host, method, url string, header ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response
}

// TestOpenNodeRebinding checks that a node that is open to its machine refuses the
// pages of other sites in a browser there, on all paths.
func TestOpenNodeRebinding(t *testing.T) {
	t.Parallel()
	_, url := startNode(t)
	checkRebinding(t, url, servertest.News, "/v1/poll?channel=a&wait=1ms", "/v1/events?channel=a&last=x", "/comet.js", "/v1/publish")
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	for _, path := range []string{"/v1/events?channel=a", "/v1/poll?channel=a&wait=20s"} { // which begin on the fast path
		if r := askAs(t, "evil.example:"+port, http.MethodGet, url+path); r.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("%s: %s", path, r.Status)
		}
	}
	_, listed := startNode(t, "--http-cors-origins", "http://app.example")
	_, port, _ = net.SplitHostPort(strings.TrimPrefix(listed, "http://"))
	if r := askAs(t, "app.example:"+port, http.MethodGet, listed+servertest.News); r.StatusCode != http.StatusOK {
		t.Errorf("a listed origin's host: %s", r.Status)
	}
	_, closed := startNode(t, servertest.GuardedFlags(t)...) // there a page has nothing to show
	_, port, _ = net.SplitHostPort(strings.TrimPrefix(closed, "http://"))
	if r := askAs(t, "app.example:"+port, http.MethodGet, closed+servertest.News); r.StatusCode != http.StatusUnauthorized {
		t.Errorf("a node that wants a token: %s", r.Status)
	}
}

func checkChat(t *testing.T, front string) {
	response := servertest.Get(t, front)
	page, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK || !strings.Contains(string(page), "chat/app.js") {
		t.Errorf("at the front is no chat: %s\n%s", response.Status, page)
	}
}

// checkDashboard checks that the dashboard knows all nodes.
func checkDashboard(t *testing.T, admin string) {
	if page := servertest.Body(t, servertest.Get(t, admin)); !strings.Contains(page, "dashboard.js") {
		t.Errorf("there is no dashboard:\n%s", page)
	}
	awaitReports(t, admin, "all nodes", func(all []cluster.Report) bool { return len(all) == demoNodes })
}

// checkTurns checks that each request goes to the next node.
func checkTurns(t *testing.T, front string) {
	var turns []string
	for range 2 * demoNodes {
		turns = append(turns, servertest.Get(t, front+"/favicon.svg").Header.Get("Comet-Node"))
	}
	first, second := turns[:demoNodes], turns[demoNodes:]
	if !slices.Equal(first, second) || len(slices.Compact(slices.Sorted(slices.Values(first)))) != demoNodes {
		t.Errorf("requests went to %v", turns)
	}
}

// checkLoopbackPages checks that pages of other origins on this machine may use
// the API of the demo, and pages of other sites not.
func checkLoopbackPages(t *testing.T, front string) {
	const messages = "/v1/channels/chat/pages/messages"
	for origin, allowed := range map[string]bool{
		"http://localhost:5173": true, "http://127.0.0.1:3000": true, "http://[::1]:3000": true,
		"https://evil.example": false, "http://localhost.evil.example": false, "http://10.0.0.1": false, "null": false,
	} {
		page := []string{"Origin", origin, "Sec-Fetch-Site", "cross-site"}
		preflight := servertest.Ask(t, http.MethodOptions, front+messages, "", append(page, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "idempotency-key")...)
		if got := preflight.Header.Get("Access-Control-Allow-Origin") == origin; got != allowed {
			t.Errorf("a preflight of %s is allowed: %v, want %v", origin, got, allowed)
		}
		publish := servertest.Ask(t, http.MethodPost, front+messages, "x", page...)
		if got := publish.StatusCode == http.StatusCreated && publish.Header.Get("Access-Control-Allow-Origin") == origin; got != allowed {
			t.Errorf("a publish of %s: %s, %v", origin, publish.Status, publish.Header)
		}
		if script := servertest.Ask(t, http.MethodGet, front+"/comet.js", "", page...); !slices.Equal(script.Header["Access-Control-Allow-Origin"], []string{"*"}) {
			t.Errorf("comet.js for %s: %v", origin, script.Header)
		}
		if got := servertest.Ask(t, http.MethodPost, front+"/demo/token", `{"name": "ada"}`, page...).StatusCode; got != http.StatusForbidden {
			t.Errorf("a token for %s: status %d", origin, got)
		}
	}
}

// Two windows are on two nodes, however many requests each one sends first.
func TestDemoTwoWindows(t *testing.T) {
	t.Parallel()
	front := startDemo(t)
	for requests := range 2 * demoNodes {
		var nodes []string
		for range demoNodes {
			for range requests {
				servertest.Get(t, front+"/favicon.svg")
			}
			_, ready := servertest.OpenStream(t, front+"/v1/events?channel=chat/lobby")
			nodes = append(nodes, ready.Node)
		}
		if slices.Sort(nodes); len(slices.Compact(nodes)) != demoNodes {
			t.Errorf("with %d requests before each, three windows are at %v", requests, nodes)
		}
	}
}

// The demo listens beyond loopback only with --open. Its nodes never do.
func TestDemoOpen(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"0.0.0.0:0", ":0", "192.0.2.1:8080"} {
		p := runToEnd(t, "demo", "--listen", address)
		p.wantExit(exitUsage)
		p.wantErrOut(2, `^comet: --listen: other machines can reach `+address+`, .*add --open.*ssh -L`)
	}
	demo := start(t, "demo", "--listen", "0.0.0.0:0", "--open")
	front := demo.awaitOut(`chat +(http://127\.0\.0\.1:\d+) `)[1]
	demo.awaitOut(`node-2 +http://127\.0\.0\.1:`)
	demo.awaitOut(`dashboard +http://127\.0\.0\.1:`)
	checkChat(t, front)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(front, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if r := askAs(t, "vm.example:"+port, http.MethodPost, front+servertest.News, "Origin", "http://vm.example:"+port); r.StatusCode != http.StatusCreated {
		t.Errorf("a publish under the name of the machine: %s", r.Status)
	}
	demo.wantLeave(syscall.SIGINT)
}

// checkCrossing publishes one message, which streams of all nodes must get.
func checkCrossing(t *testing.T, front string) (streams []*wire.Reader) {
	var names []string
	for range demoNodes {
		events, ready := servertest.OpenStream(t, front+"/v1/events?channel=chat/lobby")
		streams = append(streams, events)
		names = append(names, ready.Node)
	}
	if slices.Sort(names); !slices.Equal(names, []string{"node-1", "node-2", "node-3"}) {
		t.Errorf("three streams are at %v", names)
	}
	runToEnd(t, "publish", "chat/lobby", "Hello!", "--url", front).wantExit(exitOK)
	for _, events := range streams {
		if e := servertest.NextEvent(t, events); e.Kind != wire.KindMessage || string(e.Message.Data) != `"Hello!"` {
			t.Errorf("a stream got %+v", e)
		}
	}
	return streams
}
