package gateway_test

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"comet/gateway"
	"comet/gateway/auth"
	"comet/gateway/conn"
	"comet/internal/testenv"
	"comet/pubsub"
	"comet/pubsub/membroker"
	"comet/pubsub/redisbroker"
	"comet/pubsub/redistest"
)

// patience bounds every wait of the suite; nothing takes so long by right.
const patience = testenv.Patience

// setup is how a test wants its nodes. The zero value has every default.
type setup struct {
	limits     gateway.Limits
	gateway    gateway.Options // what of it is not the test's to set
	access     access          // who may do what, instead of gateway
	heartbeat  time.Duration
	tail       pubsub.TailLimits
	size       int                                      // messages kept a channel; 0: 10,000
	timeout    time.Duration                            // of a call to Redis; 0: as good as none
	sendBuffer int                                      // of a connection in a node's kernel, in bytes; 0: the system's
	index      []pubsub.IndexRule                       // rules with patterns
	wrap       func(pubsub.Broker) pubsub.Broker        // of each node; nil: as it is
	presence   *pubsub.PresenceOptions                  // nil: none
	quiet      bool                                     // no log line per connection, so that polls can be repeated
	fastPath   func(*node, conn.FastPath) conn.FastPath // of each node; nil: as it is
}

// cluster is one node with the in-process broker, or two with a Redis, with real
// listeners. Requests go to its nodes in turn.
type cluster struct {
	t     testing.TB
	nodes []*node
	redis *redistest.Server // nil: in-process
	http  *http.Client

	sent int // requests, to take turns
}

// node serves at url.
type node struct {
	hub         *pubsub.Hub
	gateway     *gateway.Gateway
	presence    *pubsub.Presence // nil: none
	listener    *conn.Listener
	url         string
	fastAccepts atomic.Int64 // accepted on the fast path
}

// countingFastPath is the fast path of the node, with fastAccepts counting.
func (n *node) countingFastPath() conn.FastPath {
	d := n.gateway.FastPath()
	counting := func(in conn.FastFunc) conn.FastFunc {
		return func(r *http.Request) (next conn.FastResult, ok bool) {
			if next, ok = in(r); ok {
				n.fastAccepts.Add(1)
			}
			return next, ok
		}
	}
	d.Stream, d.Poll = counting(d.Stream), counting(d.Poll)
	return d
}

// anonymously is what is open to everyone.
func anonymously(subscribe, publish []string) gateway.Options {
	a, err := auth.New(auth.Options{Anonymous: auth.Permissions{Subscribe: patterns(subscribe), Publish: patterns(publish)}})
	if err != nil {
		panic(err)
	}
	return gateway.Options{Policy: gateway.Policy{Auth: a}}
}

func patterns(texts []string) auth.Patterns {
	p, err := auth.ParsePatterns(texts)
	if err != nil {
		panic(err)
	}
	return p
}

// overEach runs test over every kind of cluster.
func overEach(t *testing.T, s setup, test func(t *testing.T, c *cluster)) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB, setup) *cluster{"memory": overMemory, "redis": overRedis} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, start(t, s))
		})
	}
}

// overMemory is a cluster of one node.
func overMemory(t testing.TB, s setup) *cluster {
	c := newCluster(t)
	logs := membroker.New(membroker.Options{Size: cmp.Or(s.size, 10_000), TTL: time.Hour, KeyWindow: time.Minute, Index: s.newIndex(t)})
	c.join(s, logs.Node())
	return c
}

// overRedis is a cluster of two nodes.
func overRedis(t testing.TB, s setup) *cluster {
	c := newCluster(t)
	c.redis = redistest.Start(t, redistest.Persist)
	for range 2 {
		b, err := redisbroker.New(redisbroker.Options{
			Addresses: []string{c.redis.Addr()},
			Timeout:   cmp.Or(s.timeout, patience),
			Size:      cmp.Or(s.size, 10_000),
			TTL:       time.Hour,
			KeyWindow: time.Minute,
			Index:     s.newIndex(t),
		})
		if err != nil {
			t.Fatal(err)
		}
		c.join(s, b)
	}
	return c
}

// newIndex makes the index of the brokers and hubs.
func (s *setup) newIndex(t testing.TB) *pubsub.Index {
	x, err := pubsub.NewIndex(s.index)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func newCluster(t testing.TB) *cluster {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &cluster{t: t, http: &http.Client{Transport: transport}}
}

var portableFlag = flag.Bool("portable", false, "run the suite over connections that are not parked")

// closingHolder is a holder that a test must close.
type closingHolder interface {
	gateway.Holder
	EnableFastPath(*conn.Listener, conn.FastPath)
	Close(context.Context) error
}

func newHolder(t testing.TB, heartbeat time.Duration) closingHolder {
	if *portableFlag {
		return portable{conn.Portable{Heartbeat: heartbeat}}
	}
	p, err := conn.NewParker(heartbeat)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

type portable struct{ conn.Portable }

func (portable) Close(context.Context) error { return nil }

func (portable) EnableFastPath(*conn.Listener, conn.FastPath) {}

// sendBuffer sets the kernel's buffer of each connection.
type sendBuffer struct {
	net.Listener
	bytes int // 0: the system's
}

// SyscallConn lets the fast path set its option.
func (l sendBuffer) SyscallConn() (syscall.RawConn, error) {
	return l.Listener.(*net.TCPListener).SyscallConn()
}

func (l sendBuffer) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil && l.bytes > 0 {
		err = c.(*net.TCPConn).SetWriteBuffer(l.bytes)
	}
	return c, err
}

// join starts a node, which cleanup ends as an operator would.
func (c *cluster) join(s setup, b pubsub.Broker) {
	c.t.Helper()
	if s.wrap != nil {
		b = s.wrap(b)
	}
	name := fmt.Sprintf("node-%d", len(c.nodes)+1)
	level := slog.LevelDebug
	if s.quiet {
		level = slog.LevelInfo
	}
	logger := slog.New(slog.NewTextHandler(c.t.Output(), &slog.HandlerOptions{Level: level})).With("node", name)
	about := pubsub.Options{Tail: s.tail, Timeout: s.timeout, Index: s.newIndex(c.t), Logger: logger}
	var presence *pubsub.Presence
	if s.presence != nil {
		presence = pubsub.NewPresence(b, *s.presence)
		about.OnOpened, about.OnClosed = presence.ChannelOpened, presence.ChannelClosed
	}
	hub := pubsub.NewHub(b, about)
	holder := newHolder(c.t, cmp.Or(s.heartbeat, time.Minute))
	o := s.gateway
	if s.access != nil {
		o = s.access()
	}
	o.Hub, o.Holder, o.Node, o.Heartbeat, o.Policy.Limits, o.Logger = hub, holder, name, s.heartbeat, s.limits, logger
	o.Presence = presence
	g, err := gateway.New(o)
	if err != nil {
		c.t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.t.Fatal(err)
	}
	listener := conn.ListenWith(sendBuffer{tcp, s.sendBuffer}, conn.ListenOptions{Limit: 10_000, Addresses: g.AddressLimit, Logger: logger})
	n := &node{gateway: g, hub: hub, presence: presence, listener: listener, url: "http://" + listener.Addr().String()}
	fastPath := n.countingFastPath()
	if s.fastPath != nil {
		fastPath = s.fastPath(n, fastPath)
	}
	holder.EnableFastPath(listener, fastPath)
	server := &http.Server{Handler: g, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug)}
	listener.ConfigureServer(server)
	served := make(chan error, 2)
	go func() { served <- server.Serve(listener) }()
	go func() { served <- server.Serve(listener.Returned()) }()
	c.nodes = append(c.nodes, n)
	following, unfollow := context.WithCancel(context.Background())
	var followers sync.WaitGroup
	if o.Revocations != nil {
		followers.Go(func() { g.FollowRevocations(following) })
	}
	c.t.Cleanup(func() {
		unfollow()
		followers.Wait()
		c.http.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		g.Drain(0)
		if err := server.Shutdown(ctx); err != nil {
			c.t.Errorf("%s: clients did not leave: %v", name, err)
			server.Close()
		}
		<-served
		<-served
		if err := holder.Close(ctx); err != nil {
			c.t.Errorf("close holder: %v", err)
		}
		if open, held := listener.Open(), g.Connections(); open != 0 || held != 0 {
			c.t.Errorf("%s: at the end %d connections, %d streams and polls count", name, open, held)
		}
		if presence != nil {
			presence.Close()
		}
		hub.Close()
		if err := b.Close(); err != nil {
			c.t.Errorf("close broker: %v", err)
		}
	})
}

// next is the node whose turn it is.
func (c *cluster) next() *node {
	c.sent++
	return c.nodes[c.sent%len(c.nodes)]
}

// newHub is a hub over b, without a listener.
func newHub(t testing.TB, b pubsub.Broker) *pubsub.Hub {
	t.Helper()
	hub := pubsub.NewHub(b, pubsub.Options{})
	t.Cleanup(func() {
		hub.Close()
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return hub
}
