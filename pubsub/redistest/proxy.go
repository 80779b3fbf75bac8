package redistest

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// Proxy is a way to a server over which a test has power: it can be cut, torn
// and made slow for those who take it, while the server is as it was for
// others. Its methods may be called concurrently.
type Proxy struct {
	t        testing.TB
	listener net.Listener
	ctx      context.Context // ends with the test
	busy     sync.WaitGroup  // the accept loop and every path

	mu     sync.Mutex
	target string        // of new connections
	whole  chan struct{} // closed while the proxy is not cut
	delay  time.Duration
	paths  map[*path]struct{}
}

// StartProxy starts a proxy on 127.0.0.1 to target, which is what Server.Addr
// gives. It ends in t's cleanup, and its connections with it.
func StartProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("start a proxy: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &Proxy{
		t:        t,
		target:   target,
		listener: l,
		ctx:      ctx,
		whole:    make(chan struct{}),
		paths:    make(map[*path]struct{}),
	}
	close(p.whole)
	t.Cleanup(func() {
		l.Close()
		cancel()
		p.busy.Wait()
	})
	p.busy.Go(p.accept)
	return p
}

// Addr is the host:port to connect to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Lead lets new connections go to target. Those that are open stay where they
// are, as they do when a load balancer or a Service leads elsewhere.
func (p *Proxy) Lead(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// Cut makes both sides silent to each other, as a broken cable would: nothing
// that is sent after it arrives, not even the end of a connection. New
// connections are taken and are silent too. Cleanup heals what the test does
// not.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.whole:
		p.whole = make(chan struct{})
	default:
		return // it is cut
	}
	// Before the cleanups of what the test made since: they may want to
	// close their connections to the server.
	p.t.Cleanup(p.Heal)
}

// Heal ends what Cut began. Bytes sent meanwhile arrive, as TCP would
// repeat it. Without a Cut it does nothing.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.whole:
	default:
		close(p.whole)
	}
}

// Delay lets everything that is sent from now on arrive d later, in both
// directions: a round trip takes 2*d longer.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Reset ends all connections, with a RST to both sides, and returns how many
// there were. New ones are taken.
func (p *Proxy) Reset() int {
	p.mu.Lock()
	paths := p.paths
	p.paths = make(map[*path]struct{})
	p.mu.Unlock()
	for w := range paths {
		w.end(errReset)
		<-w.ended
	}
	return len(paths)
}

// accept makes a path for each connection until the listener ends.
func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		w := newPath(p, client)
		p.mu.Lock()
		p.paths[w] = struct{}{}
		p.mu.Unlock()
		p.busy.Go(func() {
			w.run()
			p.mu.Lock()
			delete(p.paths, w)
			p.mu.Unlock()
		})
	}
}

// dial connects to the server.
func (p *Proxy) dial(ctx context.Context) (net.Conn, error) {
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	network := "tcp"
	if strings.HasPrefix(target, "/") {
		network = "unix"
	}
	return new(net.Dialer).DialContext(ctx, network, target)
}

// passable returns when the proxy is not cut; false: ctx ended first.
func (p *Proxy) passable(ctx context.Context) bool {
	p.mu.Lock()
	whole := p.whole
	p.mu.Unlock()
	select {
	case <-whole:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// due is when what is sent now arrives.
func (p *Proxy) due() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Add(p.delay)
}

var errReset = errors.New("reset")
