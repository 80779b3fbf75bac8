package bench

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// client sends the coordinator's own requests to the nodes, through net/http.
type client struct {
	http    *http.Client
	dialect dialect
	nodes   []node
	header  [][2]string // of every request
	names   func(channel int) string
	plan    *Plan
}

func newClient(p *Plan, nodes []node, names func(int) string) *client {
	// Dial the addresses that were looked up before the run.
	addresses := make(map[string]string)
	for _, n := range nodes {
		addresses[hostPort(n.Host)] = n.Address.String()
	}
	dialer := net.Dialer{Timeout: answerTime}
	transport := &http.Transport{
		MaxIdleConnsPerHost: p.Publishers,
		DisableCompression:  true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if looked, ok := addresses[address]; ok {
				address = looked
			}
			return dialer.DialContext(ctx, network, address)
		},
	}
	c := &client{
		http:    &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		dialect: p.dialect(), nodes: nodes, names: names, plan: p,
	}
	for _, line := range p.Target.header() {
		name, value, _ := strings.Cut(line, ":")
		c.header = append(c.header, [2]string{name, strings.TrimSpace(value)})
	}
	return c
}

func hostPort(host string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), "80")
}

func (c *client) close() { c.http.CloseIdleConnections() }

// request returns the request that publishes data at a node.
func (c *client) request(ctx context.Context, n *node, channel, key, data string) (*http.Request, error) {
	p := c.dialect.publish(channel, key, data)
	r, err := http.NewRequestWithContext(ctx, p.method, n.url(p.path), strings.NewReader(p.body))
	if err != nil {
		return nil, err
	}
	for _, pair := range append(p.header, c.header...) {
		r.Header.Set(pair[0], pair[1])
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	return r, nil
}

// ask sends a request and returns the response with the start of its body. The
// body is closed.
func (c *client) ask(r *http.Request) (*http.Response, []byte, error) {
	response, err := c.http.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	return response, text, err
}

// publisher publishes over one connection.
type publisher struct {
	*client
	number int
	node   int
	halted <-chan struct{} // closed: no more attempts
	gaveUp bool            // the last message ran out of patience: until a publish succeeds, each is tried once
}

func (c *client) publisher(number int, halted <-chan struct{}) *publisher {
	return &publisher{client: c, number: number, node: number % len(c.nodes), halted: halted}
}

const (
	publishPauseLeast = 50 * time.Millisecond
	publishPauseMost  = time.Second
)

// deliver publishes a message. It retries, where that is safe, until the fate of
// the message is decided or twice Plan.Patience is over.
func (p *publisher) deliver(ctx context.Context, m *payloadHeader, key string, size int) (f fate) {
	data := string(m.append(nil, size))
	end := time.Now().Add(2 * p.plan.Patience)
	f.verdict = failed // as long as no attempt can have succeeded
	pause := publishPauseLeast
	for {
		a := p.attempt(ctx, p.names(int(m.channel)), key, data)
		if a.kind == "" {
			f.verdict, p.gaveUp = acknowledged, false
			return f
		}
		f.errors = append(f.errors, a.kind)
		if a.maybe {
			f.verdict = undecided
		}
		p.node = (p.node + 1) % len(p.nodes)
		if a.final || a.maybe && !p.dialect.traits().keyed {
			return f
		}
		wait := max(a.after, p.jitter(pause, m))
		if p.gaveUp || ctx.Err() != nil || time.Now().Add(wait).After(end) {
			p.gaveUp = true
			return f
		}
		if !p.sleep(ctx, wait) {
			return f
		}
		pause = min(2*pause, publishPauseMost)
		f.retried++
	}
}

func (p *publisher) jitter(d time.Duration, m *payloadHeader) time.Duration {
	chance := choice(p.plan.Seed, aboutBackoff, uint64(p.number), uint64(m.sequence))
	return time.Duration((0.5 + shareOf(chance)) * float64(d))
}

// attempt is the outcome of one publish request. Without a kind it succeeded.
type attempt struct {
	kind  string
	maybe bool          // it may have been published
	final bool          // another attempt would end the same
	after time.Duration // the server's Retry-After
}

func (p *publisher) attempt(ctx context.Context, channel, key, data string) attempt {
	ctx, cancel := context.WithTimeout(ctx, p.plan.Patience)
	defer cancel()
	r, err := p.request(ctx, &p.nodes[p.node], channel, key, data)
	if err != nil {
		return attempt{kind: kindOf(err), final: true}
	}
	response, text, err := p.ask(r)
	switch {
	case err != nil && response == nil:
		var dial *net.OpError
		unsent := errors.As(err, &dial) && dial.Op == "dial"
		return attempt{kind: kindOf(err), maybe: !unsent}
	case response.StatusCode/100 == 2:
		if why := p.dialect.refused(text); why != "" {
			return attempt{kind: why, final: true}
		}
		return attempt{}
	}
	a := attempt{kind: kindStatus(response.StatusCode)}
	switch {
	case response.StatusCode == http.StatusTooManyRequests:
	case response.StatusCode >= 500:
		a.maybe = true
	default:
		a.final = true
	}
	if seconds, err := strconv.ParseUint(response.Header.Get("Retry-After"), 10, 8); err == nil {
		a.after = time.Duration(seconds) * time.Second
	}
	return a
}

// sleep returns false if it was interrupted.
func (p *publisher) sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.halted:
	case <-ctx.Done():
	}
	return false
}
