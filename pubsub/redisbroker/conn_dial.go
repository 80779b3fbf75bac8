package redisbroker

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// dialAttempts is how often a connection is tried before its command fails. Each
// attempt gets a fraction of Options.Timeout, so that all end before the command's
// timeout even if an address drops all packets.
const dialAttempts = 3

func (o *Options) dialTimeout() time.Duration { return o.Timeout / (dialAttempts + 1) }

// nextAddress is the time after which the next address of a name is tried in parallel.
const nextAddress = 50 * time.Millisecond

// dialer makes and keeps track of the connections of one client, so that shut can
// close all at once: go-redis alone waits for the commands under way on them.
type dialer struct {
	timeout time.Duration   // of one attempt
	tls     *tls.Config     // nil: plain
	ctx     context.Context // ends with shut
	cancel  context.CancelFunc

	mu   sync.Mutex
	open map[*conn]struct{} // nil after shut
}

func newDialer(o *Options) *dialer {
	d := &dialer{timeout: o.dialTimeout(), tls: o.TLS, open: make(map[*conn]struct{})}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	return d
}

// dial is redis.Options.Dialer.
func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	defer context.AfterFunc(d.ctx, cancel)()
	raw, err := connectAny(ctx, network, address)
	if err != nil {
		return nil, err
	}
	transport := raw
	if d.tls != nil {
		if transport, err = d.handshake(ctx, raw, address); err != nil {
			return nil, errors.Join(err, raw.Close())
		}
	}
	c := &conn{Conn: transport, dialer: d}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open == nil {
		_ = transport.Close()
		return nil, redis.ErrClosed
	}
	d.open[c] = struct{}{}
	if d.tls != nil {
		return c, nil
	}
	return plainConn{c}, nil
}

// handshake performs the TLS handshake with the server at address.
func (d *dialer) handshake(ctx context.Context, raw net.Conn, address string) (net.Conn, error) {
	config := d.tls
	if config.ServerName == "" && !config.InsecureSkipVerify {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		config = config.Clone()
		config.ServerName = host
	}
	c := tls.Client(raw, config)
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tls", Addr: raw.RemoteAddr(), Err: err}
	}
	return c, nil
}

// shut closes all connections, also those being opened. Afterwards dial fails.
func (d *dialer) shut() {
	d.cancel()
	d.mu.Lock()
	open := d.open
	d.open = nil
	d.mu.Unlock()
	for c := range open {
		_ = c.Conn.Close()
	}
}

// connectAny connects to address. If its host name resolves to several addresses, it
// connects to one of them.
func connectAny(ctx context.Context, network, address string) (net.Conn, error) {
	var plain net.Dialer
	host, port, err := net.SplitHostPort(address)
	if network != "tcp" || err != nil || net.ParseIP(host) != nil {
		return plain.DialContext(ctx, network, address)
	}
	hosts, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	return firstOf(ctx, hosts, func(ctx context.Context, host string) (net.Conn, error) {
		return plain.DialContext(ctx, network, net.JoinHostPort(host, port))
	})
}

// firstOf connects to the first of hosts that accepts the connection. Every
// nextAddress it tries one more in parallel. net.Dialer tries them one after another,
// and one that drops all packets may take all the time.
func firstOf(ctx context.Context, hosts []string, dial func(context.Context, string) (net.Conn, error)) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	var attempts sync.WaitGroup
	defer attempts.Wait()
	defer cancel()
	type result struct {
		net.Conn
		error
	}
	results := make(chan result)
	pending := 0
	try := func() {
		host := hosts[0]
		hosts = hosts[1:]
		pending++
		attempts.Go(func() {
			c, err := dial(ctx, host)
			select {
			case results <- result{c, err}:
			case <-ctx.Done():
				if err == nil {
					_ = c.Close()
				}
			}
		})
	}
	try()
	next := time.NewTicker(nextAddress)
	defer next.Stop()
	var first error
	for {
		select {
		case r := <-results:
			if r.error == nil {
				return r.Conn, nil
			}
			pending--
			first = cmp.Or(first, r.error)
			if len(hosts) > 0 {
				try()
			} else if pending == 0 {
				return nil, first
			}
		case <-next.C:
			if len(hosts) > 0 {
				try()
			}
		case <-ctx.Done():
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: context.Cause(ctx)}
		}
	}
}
