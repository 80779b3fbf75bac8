package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"comet/config"
	"comet/gateway/limit"
	"comet/internal/server"
)

// demoNodes is how many nodes the demo has.
const demoNodes = 3

func newDemo() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run three nodes and a chat, to see a message cross nodes",
		Long: `Run three nodes in one process behind a small load balancer that sends each
request to the next node, and each stream to the node with the fewest: there are
no sticky sessions. The chat page shows which node each participant is on; anyone
who enters a name gets a token for it. Pages of your own may use the API if they are
on localhost. Nothing else is needed; with --redis the nodes share a Redis instead of
this process's memory.`,
		Example: `  comet demo
  comet demo --listen 127.0.0.1:9000
  comet demo --listen 0.0.0.0:8080 --open   # for other machines too
  comet demo --redis 127.0.0.1:6379`,
		Args: arguments(cobra.NoArgs),
	}
	address := cmd.Flags().String("listen", "127.0.0.1:8080", "where the load balancer listens; the nodes take the ports after it")
	redisAddress := cmd.Flags().String("redis", "", "a Redis that the nodes share, host:port (default: memory)")
	open := cmd.Flags().Bool("open", false, "allow a --listen address that other machines can reach; everyone who reaches it can sign in under any name")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if !*open && beyondLoopback(*address) {
			return &usageError{fmt.Errorf("--listen: other machines can reach %s, and everyone who reaches the demo can sign in under any name: "+
				"add --open to allow that, or forward a port instead, as with ssh -L 8080:127.0.0.1:8080 HOST", *address)}
		}
		return demo(cmd, *address, *redisAddress, *open)
	}
	return cmd
}

func demo(cmd *cobra.Command, address, redisAddress string, open bool) error {
	settings, err := demoSettings(address, redisAddress, open)
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	desk := newDemoDesk(logger)
	desk.open(&settings.Settings)
	l, err := listen("--listen", settings.HTTP.Listen)
	if err != nil {
		return fmt.Errorf("%w: try another address, as in comet demo --listen 127.0.0.1:9000", err)
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	nodes, err := newDemoNodes(ctx, settings, l.Addr(), logger)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	front := newFront(l.Addr(), nodes, desk, open, logger)
	// A node leaves some seconds later if a connection to it was never used.
	defer context.AfterFunc(ctx, front.transport.CloseIdleConnections)()
	entry := &http.Server{Handler: front, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	ended := make(chan error, len(nodes)+1)
	var all sync.WaitGroup
	for _, n := range nodes {
		all.Go(func() { ended <- n.Run(ctx) })
	}
	all.Go(func() {
		if err := entry.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			ended <- fmt.Errorf("serve %s: %w", l.Addr(), err)
		}
	})
	introduce(cmd.OutOrStdout(), l.Addr(), nodes)

	err = <-ended // a node ends because ctx did, or because it failed
	cancel()
	err = errors.Join(err, entry.Close())
	all.Wait()
	return err
}

// demoSettings are the defaults, with what the flags say. Mistakes are reported
// under the flags of demo.
func demoSettings(address, redisAddress string, open bool) (*config.Loaded, error) {
	cmd := newServe()
	flags := map[string]string{"http-listen": address}
	if open {
		flags["auth-anonymous-subscribe"] = "**" // as beyond loopback something must be set; the desk replaces it
	}
	if redisAddress != "" {
		flags["redis-addresses"] = redisAddress
	}
	for name, value := range flags {
		if err := cmd.Flags().Set(name, value); err != nil {
			return nil, err
		}
	}
	loaded, err := config.Load(config.Source{Flags: cmd.Flags()})
	if problems, ok := errors.AsType[config.Problems](err); ok {
		for _, p := range problems {
			p.Source = map[string]string{"--http-listen": "--listen", "--redis-addresses": "--redis"}[p.Source]
		}
	}
	if err != nil {
		return nil, err
	}
	loaded.Drain = config.Drain{} // there is nowhere else to go
	loaded.Auth.RevocationsFile = ""
	loaded.HTTP.Chat = true
	return loaded, nil
}

// listenBehind opens the n-th port after the front's, or any if that is taken.
func listenBehind(front net.Addr, n int) (net.Listener, error) {
	host, port, err := net.SplitHostPort(front.String())
	if err != nil {
		return nil, err
	}
	first, err := strconv.Atoi(port)
	if err != nil {
		return nil, err
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		host = "127.0.0.1" // others come through the front only
	}
	if l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(first+n))); err == nil {
		return l, nil
	}
	return listen("a node", net.JoinHostPort(host, "0"))
}

// newDemoNodes makes the nodes, on the ports after the front's or on any. The
// first one serves the dashboard, on the port after those of the nodes.
func newDemoNodes(ctx context.Context, s *config.Loaded, front net.Addr, logger *slog.Logger) ([]*server.Node, error) {
	memory, err := server.NewMemory(&s.Settings)
	if err != nil {
		return nil, err
	}
	nodes := make([]*server.Node, demoNodes)
	for i := range nodes {
		settings := *s
		settings.Node, settings.Admin.Listen = fmt.Sprint("node-", i+1), ""
		o := server.Options{Version: version, Revision: revision(), Logger: logger, DashboardOnly: true, Nodes: demoNodes}
		if len(s.Redis.Addresses) == 0 {
			o.Broker = memory.Node()
		}
		if o.Listener, err = listenBehind(front, 1+i); err != nil {
			return nil, err
		}
		if i == 0 {
			if o.Admin, err = listenBehind(front, demoNodes+1); err != nil {
				return nil, err
			}
		}
		if nodes[i], err = server.New(ctx, &settings, o); err != nil {
			return nil, err
		}
	}
	return nodes, nil
}

// front sends each request to the next node, and each stream or poll to a node
// with the fewest. It answers those for tokens itself.
type front struct {
	port      uint16 // where it listens
	open      bool   // to other machines
	desk      http.Handler
	transport *http.Transport // to the nodes
	nodes     []*frontNode
	next      atomic.Uint64

	mu sync.Mutex // for streams of nodes
}

// frontNode is a node as the front sees it.
type frontNode struct {
	http.Handler
	streams int // and polls that it serves now
}

func newFront(at net.Addr, nodes []*server.Node, desk *demoDesk, open bool, logger *slog.Logger) *front {
	// A page of another origin must not get a token, nor publish with one.
	f := &front{port: at.(*net.TCPAddr).AddrPort().Port(), open: open, desk: http.NewCrossOriginProtection().Handler(desk), transport: http.DefaultTransport.(*http.Transport).Clone()}
	f.transport.MaxIdleConnsPerHost = 64
	f.transport.DisableCompression = true
	for _, n := range nodes {
		target, err := url.Parse(n.URL())
		if err != nil {
			panic(err) // a listener's own address
		}
		f.nodes = append(f.nodes, &frontNode{Handler: &httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(target)
				r.Out.Host = r.In.Host // what the browser's Origin is compared with
				if isLoopbackOrigin(r.In.Header.Get("Origin")) {
					r.Out.Header.Del("Origin") // which the front has judged
					r.Out.Header.Del("Sec-Fetch-Site")
				}
			},
			Transport:     f.transport,
			FlushInterval: -1, // at once
			ErrorLog:      slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		}})
	}
	return f
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !f.open && limit.Rebound(r, f.port, nil) {
		http.Error(w, "Open the demo as localhost or by its IP address.", http.StatusMisdirectedRequest)
		return
	}
	if r.URL.Path == demoTokenPath {
		f.desk.ServeHTTP(w, r)
		return
	}
	relay := http.Handler(http.HandlerFunc(f.relay))
	if origin := r.Header.Get("Origin"); strings.HasPrefix(r.URL.Path, "/v1/") && isLoopbackOrigin(origin) {
		if allow, err := limit.CORS([]string{origin}); err == nil {
			relay = allow(relay)
		}
	}
	relay.ServeHTTP(w, r)
}

// relay sends r to a node.
func (f *front) relay(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/v1/events" && r.URL.Path != "/v1/poll" {
		f.nodes[f.next.Add(1)%uint64(len(f.nodes))].ServeHTTP(w, r)
		return
	}
	f.mu.Lock()
	n := slices.MinFunc(f.nodes, func(a, b *frontNode) int { return a.streams - b.streams })
	n.streams++
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		n.streams--
		f.mu.Unlock()
	}()
	n.ServeHTTP(w, r)
}

// isLoopbackOrigin reports whether origin is that of a page which a program on this
// machine serves. Another site cannot have such an origin.
func isLoopbackOrigin(origin string) bool {
	u, err := url.Parse(origin)
	return err == nil && isLoopback(u.Hostname())
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// beyondLoopback reports whether other machines can reach a listener at address.
func beyondLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && !isLoopback(host) // another mistake is reported later
}

func introduce(out io.Writer, address net.Addr, nodes []*server.Node) {
	if tcp := address.(*net.TCPAddr); tcp.IP.IsUnspecified() {
		address = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: tcp.Port}
	}
	fmt.Fprintf(out, "Comet demo: %d nodes behind a load balancer, in one process.\n\n", len(nodes))
	fmt.Fprintf(out, "  chat       http://%s   open it in two windows\n", address)
	fmt.Fprintf(out, "  dashboard  %s   watch it (CPU and memory are those of the process)\n", nodes[0].AdminURL())
	for _, n := range nodes {
		fmt.Fprintf(out, "  %-9s  %s\n", n.Name(), n.URL())
	}
	fmt.Fprintf(out, `
Try, in other terminals:

  curl -N 'http://%[1]s/v1/events?channel=chat/lobby&last=5'
  curl -d 'Hello from the shell' http://%[1]s/v1/channels/chat/lobby/messages
  curl -d 'Tea at four' 'http://%[1]s/v1/channels/chat/lobby/messages?type=motd'   # message of the day

Ctrl-C ends it.
`, address)
}

// listen opens address, the value of a flag.
func listen(flag, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return l, nil
}
