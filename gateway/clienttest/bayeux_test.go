package clienttest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"comet/internal/testenv"
	"comet/pubsub/redistest"
)

// bayeuxNode is a node as a process, which can be killed and started again.
type bayeuxNode struct {
	t              *testing.T
	binary, number string
	address, admin string
	flags          []string

	mu      sync.Mutex
	command *exec.Cmd
	end     <-chan struct{}
}

func (n *bayeuxNode) start() {
	command := exec.Command(n.binary, append([]string{"serve", "--node", "node-" + n.number, "--bayeux-enabled", "--http-listen", n.address,
		"--admin-listen", n.admin, "--bayeux-timeout", "5s", "--bayeux-max-interval", "2m", "--log-level", "warn"}, n.flags...)...)
	command.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "COMET_") })
	command.Stderr = n.t.Output()
	end, err := testenv.StartProcess(command)
	if err != nil {
		n.t.Fatal(err)
	}
	n.mu.Lock()
	n.command, n.end = command, end
	n.mu.Unlock()
	awaitReady(n.t, "http://"+n.admin+"/readyz")
}

func (n *bayeuxNode) kill() {
	n.mu.Lock()
	defer n.mu.Unlock()
	testenv.KillProcess(n.command)
	<-n.end
}

// bayeuxNodes are nodes on one Redis, behind a proxy that sends each request to the next
// node, and to another if it cannot connect.
type bayeuxNodes struct {
	t     *testing.T
	nodes []*bayeuxNode
	proxy *httptest.Server
	turn  atomic.Int64
	http  *http.Client
}

func startBayeuxNodes(t *testing.T, count int, binary string, flags ...string) *bayeuxNodes {
	t.Helper()
	c := &bayeuxNodes{t: t, http: &http.Client{Transport: &http.Transport{}}}
	for i := range count {
		n := &bayeuxNode{t: t, binary: binary, number: fmt.Sprint(i + 1), address: freeAddress(t), admin: freeAddress(t), flags: flags}
		n.start()
		t.Cleanup(n.kill)
		c.nodes = append(c.nodes, n)
	}
	c.proxy = httptest.NewServer(http.HandlerFunc(c.forward))
	t.Cleanup(c.proxy.Close)
	t.Cleanup(c.proxy.CloseClientConnections)
	t.Cleanup(c.http.CloseIdleConnections)
	return c
}

// forward is the proxy.
func (c *bayeuxNodes) forward(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	for range 3 * len(c.nodes) {
		n := c.nodes[int(c.turn.Add(1))%len(c.nodes)]
		if connection, err := net.Dial("tcp", n.address); err != nil {
			time.Sleep(20 * time.Millisecond)
			continue // as balancers do
		} else {
			connection.Close()
		}
		out, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+n.address+r.URL.RequestURI(), bytes.NewReader(body))
		if err != nil {
			return
		}
		out.Header = r.Header.Clone()
		res, err := c.http.Transport.RoundTrip(out)
		if err != nil {
			break
		}
		defer res.Body.Close()
		answer, err := io.ReadAll(res.Body)
		if err != nil {
			break
		}
		for name, values := range res.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(res.StatusCode)
		_, _ = w.Write(answer)
		return
	}
	w.WriteHeader(http.StatusBadGateway)
}

// publish publishes a number, until a node takes it.
func (c *bayeuxNodes) publish(channel string, n int) {
	for late := time.Now().Add(patience); time.Now().Before(late); time.Sleep(50 * time.Millisecond) {
		node := c.nodes[int(c.turn.Add(1))%len(c.nodes)]
		r, err := http.NewRequest(http.MethodPost, "http://"+node.address+"/v1/channels/"+channel+"/messages", strings.NewReader(fmt.Sprint(n)))
		if err != nil {
			c.t.Error(err)
			return
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", fmt.Sprint("test-", n))
		res, err := plainHTTP.Do(r)
		if err != nil {
			continue
		}
		res.Body.Close()
		if res.StatusCode == http.StatusCreated {
			return
		}
	}
	c.t.Errorf("%d was not published", n)
}

// published returns the numbers in the history of a channel.
func (c *bayeuxNodes) published(channel string) (all []int) {
	c.t.Helper()
	after := ""
	for {
		res, err := plainHTTP.Get("http://" + c.nodes[0].address + "/v1/channels/" + channel + "/messages?order=asc&limit=1000" + after)
		if err != nil {
			c.t.Fatal(err)
		}
		var page struct {
			Messages []struct {
				ID   string
				Data int
			}
			More bool
		}
		err = json.NewDecoder(res.Body).Decode(&page)
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK {
			c.t.Fatalf("history of %s: %s, %v", channel, res.Status, err)
		}
		for _, m := range page.Messages {
			all = append(all, m.Data)
			after = "&after=" + m.ID
		}
		if !page.More {
			return all
		}
	}
}

// bayeuxClient is a client of a library, and what it has reported.
type bayeuxClient struct {
	t       *testing.T
	name    string
	repeats bool // messages may come again, see "Delivery is exact" in docs/bayeux.md

	mu         sync.Mutex
	changed    chan struct{}
	got        []int
	published  []int
	handshakes int
	refused    []string
	subscribed bool
	others     []string
}

// happening is a line of bayeuxclient.mjs.
type happening struct {
	Got, Published *int
	Handshake      *bool
	Subscribed     bool
	Refused, Error *string
}

func startBayeuxClient(t *testing.T, dir, library, url, channel, upstream string) *bayeuxClient {
	t.Helper()
	c := &bayeuxClient{t: t, name: library, changed: make(chan struct{})}
	command := exec.Command(testenv.Program(t, "node"), "bayeuxclient.mjs", library, url, channel, upstream)
	command.Dir = dir
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	t.Cleanup(reading.Wait) // after the process has ended: cleanups run in reverse
	start(t, command)
	reading.Go(func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			c.take(lines.Bytes())
		}
	})
	return c
}

func (c *bayeuxClient) take(line []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var h happening
	if json.Unmarshal(line, &h) != nil {
		c.others = append(c.others, string(line))
		return
	}
	switch {
	case h.Got != nil:
		c.got = append(c.got, *h.Got)
	case h.Published != nil:
		c.published = append(c.published, *h.Published)
	case h.Handshake != nil:
		c.handshakes++
		if !*h.Handshake {
			c.refused = append(c.refused, "handshake "+string(line))
		}
	case h.Refused != nil:
		c.refused = append(c.refused, *h.Refused)
	case h.Subscribed:
		c.subscribed = true
	default:
		c.others = append(c.others, string(line))
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

// await waits until done, which reads the state.
func (c *bayeuxClient) await(what string, done func() bool) {
	c.t.Helper()
	late := time.After(patience)
	for {
		c.mu.Lock()
		ok, changed := done(), c.changed
		c.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-late:
			c.mu.Lock()
			defer c.mu.Unlock()
			c.t.Fatalf("%s: %s does not come: %d messages, %d handshakes, refused %q, others %q", c.name, what, len(c.got), c.handshakes, c.refused, c.others)
		}
	}
}

// want wants the client to have had every number once, in order, with one handshake and
// no refused connect.
func (c *bayeuxClient) want(last int) {
	c.t.Helper()
	c.await(fmt.Sprint("message ", last), func() bool { return len(c.got) > 0 && c.got[len(c.got)-1] == last })
	c.mu.Lock()
	defer c.mu.Unlock()
	got := c.got
	if c.repeats { // of the newest messages, which the answer before had
		got = slices.Compact(slices.Sorted(slices.Values(got)))
	}
	for i, n := range got {
		if n != i+1 {
			c.t.Errorf("%s: message %d is %d, after %v", c.name, i+1, n, got[max(0, i-3):i])
			break
		}
	}
	if c.handshakes != 1 || len(c.refused) > 0 {
		c.t.Errorf("%s: %d handshakes, and was refused %q", c.name, c.handshakes, c.refused)
	}
	if len(c.others) > 0 {
		c.t.Logf("%s: %q", c.name, c.others)
	}
}

// wantPublished wants everything that the client published to be in the log, once.
func (c *bayeuxClient) wantPublished(nodes *bayeuxNodes, channel string) {
	c.t.Helper()
	log := nodes.published(channel)
	c.mu.Lock()
	defer c.mu.Unlock()
	times := make(map[int]int)
	for _, n := range log {
		if times[n]++; times[n] > 1 {
			c.t.Errorf("%s: %d was published %d times", c.name, n, times[n])
		}
	}
	for _, n := range c.published {
		if times[n] == 0 {
			c.t.Errorf("%s: %d is not in the log", c.name, n)
		}
	}
	if len(c.published) < 10 {
		c.t.Errorf("%s: it published only %d messages", c.name, len(c.published))
	}
	if c.t.Failed() {
		return
	}
	c.t.Logf("%s: %d messages received, %d published", c.name, len(c.got), len(c.published))
}

// The Bayeux libraries of npm, unmodified, over one node and over two: with each request
// at another node, with nodes that are killed, and with a Redis that fails over. No message
// is lost or repeated, no connect is refused, and there is no second handshake.
func TestBayeuxLibraries(t *testing.T) {
	testenv.Large(t)
	dir := npm(t)
	script, err := os.ReadFile("bayeuxclient.mjs")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "bayeuxclient.mjs"), script, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "comet")
	build(t, ".", binary, "comet/cmd/comet")
	for _, one := range []struct {
		name     string
		nodes    int
		direct   bool // the client is at the first node, and not behind the proxy
		messages int
		disturb  func(c *bayeuxNodes, redis *redistest.Sentinel)
	}{
		{name: "one node", nodes: 1, direct: true, messages: 200},
		{name: "two nodes", nodes: 2, direct: true, messages: 200},
		{name: "each request at another node", nodes: 2, messages: 400},
		{name: "nodes are killed", nodes: 2, messages: 1500, disturb: func(c *bayeuxNodes, _ *redistest.Sentinel) {
			for i := range 8 {
				time.Sleep(1500 * time.Millisecond)
				n := c.nodes[i%2]
				n.kill()
				time.Sleep(200 * time.Millisecond)
				n.start()
			}
		}},
		{name: "redis fails over", nodes: 2, messages: 800, disturb: func(_ *bayeuxNodes, redis *redistest.Sentinel) {
			for range 2 {
				time.Sleep(2 * time.Second)
				redis.Failover()
			}
		}},
	} {
		t.Run(one.name, func(t *testing.T) {
			var redis *redistest.Sentinel
			var flags []string
			if one.name == "redis fails over" {
				redis = redistest.StartSentinel(t)
				flags = []string{"--redis-addresses", strings.Join(redis.Addresses(), ","), "--redis-master", redis.Master(), "--redis-min-replicas", "1"}
			} else {
				flags = []string{"--redis-addresses", redistest.Start(t).Addr()}
			}
			c := startBayeuxNodes(t, one.nodes, binary, flags...)
			url := c.proxy.URL + "/bayeux"
			if one.direct {
				url = "http://" + c.nodes[0].address + "/bayeux"
			}
			var clients []*bayeuxClient
			for i, library := range []string{"cometd", "cometd-ack", "faye"} {
				clients = append(clients, startBayeuxClient(t, dir, library, url, "/down/1", fmt.Sprint("/up/", i)))
			}
			clients[0].repeats = one.name == "nodes are killed" // it does not acknowledge
			for _, client := range clients {
				client.await("the subscription", func() bool { return client.subscribed })
			}
			var disturbing sync.WaitGroup
			if one.disturb != nil {
				disturbing.Go(func() { one.disturb(c, redis) })
			}
			for n := range one.messages {
				c.publish("down/1", n+1)
				time.Sleep(10 * time.Millisecond)
			}
			disturbing.Wait()
			c.publish("down/1", one.messages+1)
			for i, client := range clients {
				client.want(one.messages + 1)
				client.wantPublished(c, fmt.Sprint("up/", i))
			}
		})
	}
}
