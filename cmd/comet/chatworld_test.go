package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"comet/pubsub/redistest"
)

// chatWorld is the nodes of a chat as processes, behind a proxy with the demo's
// token desk. Its methods are for the test's own goroutine.
type chatWorld struct {
	t      *testing.T
	redis  *redistest.Server
	config string
	desk   *demoDesk

	mu    sync.Mutex // guards the members of nodes, which fronts read
	nodes []*chatNode
}

type chatNode struct {
	name    string
	process *process // nil: it does not run
	url     string
	address string // the same each time
}

// newChatWorld starts a number of nodes. Tokens live for ttl.
func newChatWorld(t *testing.T, nodes int, ttl time.Duration) *chatWorld {
	t.Helper()
	w := &chatWorld{t: t, redis: redistest.Start(t, redistest.Persist), desk: newDemoDesk(slog.New(slog.DiscardHandler))}
	w.desk.ttl = ttl
	w.config = filepath.Join(t.TempDir(), "comet.yaml")
	settings := fmt.Sprintf(`
auth:
  anonymous: {subscribe: ["chat/**"], publish: ["chat/**"]}
  jwt: {algorithms: [HS256], secret: %q}
channels: [{match: "chat/**", presence: true}, {match: "dm/*", presence: true}]
presence: {ttl: 5s}
history: {size: 10000}
drain: {delay: 0s, spread: 0s}
`, w.desk.secret)
	if err := os.WriteFile(w.config, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range nodes {
		w.nodes = append(w.nodes, &chatNode{name: fmt.Sprint("node-", i+1), address: "127.0.0.1:0"})
		w.start(i)
	}
	return w
}

// start starts a node, at its former address if it had one.
func (w *chatWorld) start(i int) {
	w.t.Helper()
	n := w.nodes[i]
	p := start(w.t, "serve", "--config", w.config, "--node", n.name, "--redis", w.redis.Addr(), "--http-listen", n.address, "--admin-listen", "", "--http-chat")
	address := p.awaitErr(`msg=serving .*url=http://(\S+)`)[1]
	w.mu.Lock()
	defer w.mu.Unlock()
	n.process, n.address, n.url = p, address, "http://"+address
}

// kill ends a node at once.
func (w *chatWorld) kill(i int) {
	w.t.Helper()
	n := w.nodes[i]
	w.mu.Lock()
	p := n.process
	n.process = nil
	w.mu.Unlock()
	if err := p.command.Process.Kill(); err != nil {
		w.t.Fatal(err)
	}
	<-p.ended
}

// front starts a proxy and returns its address. It serves the page, with streams on
// the i-th node or the next one that runs.
func (w *chatWorld) front(i int) string {
	w.t.Helper()
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(w.running(i))
			r.Out.Host = r.In.Host
		},
		Transport:     &http.Transport{MaxIdleConnsPerHost: 16},
		FlushInterval: -1,
		ErrorHandler: func(rw http.ResponseWriter, _ *http.Request, err error) {
			if !errors.Is(err, context.Canceled) {
				rw.WriteHeader(http.StatusBadGateway)
			}
		},
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	mux := http.NewServeMux()
	mux.Handle(demoTokenPath, w.desk)
	mux.Handle("/", proxy)
	server := httptest.NewServer(mux)
	w.t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		proxy.Transport.(*http.Transport).CloseIdleConnections()
	})
	return server.URL
}

func (w *chatWorld) running(i int) *url.URL {
	w.mu.Lock()
	defer w.mu.Unlock()
	for j := range w.nodes {
		if n := w.nodes[(i+j)%len(w.nodes)]; n.process != nil {
			u, _ := url.Parse(n.url)
			return u
		}
	}
	return &url.URL{Scheme: "http", Host: "127.0.0.1:1"} // nothing listens there
}

// publish publishes with `comet publish`.
func (w *chatWorld) publish(args ...string) {
	w.t.Helper()
	runToEnd(w.t, append(append([]string{"publish"}, args...), "--url", w.running(0).String())...).wantExit(exitOK)
}
