// Package client is the Go client of Comet's HTTP interface: publish exactly
// once, subscribe with resume, read history. The command line and the tests
// use it too, so it hides nothing that a server does wrong: it drops no
// duplicates and repairs no order, but resumes exactly where it stopped.
package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"comet/gateway/wire"
)

// Options of a Client.
type Options struct {
	// URLs are the base addresses of one or more nodes, or of what stands
	// before them, like http://127.0.0.1:8080. After a failure, and whenever a
	// subscription comes back, the next one is tried.
	URLs []string
	// HTTPClient sends the requests; nil is http.DefaultClient. It must have
	// no Timeout, which would end streams.
	HTTPClient *http.Client
	// Token gives the token or key to show, as Authorization: Bearer. It is
	// called when one is first needed, and again when the last one was refused
	// or has expired; if there is no other, the refusal stands. An empty one is
	// nobody's. nil shows nothing.
	Token func(context.Context) (string, error)
	// Logger hears of what is tried again, as a warning; nil is silence.
	Logger *slog.Logger
}

// Client talks to Comet. Its methods may be called concurrently. There is
// nothing to close.
type Client struct {
	urls   []string // without a slash at the end
	http   *http.Client
	logger *slog.Logger
	token  token

	current atomic.Uint32 // index of urls, modulo their number
}

// New checks the options. It does not connect.
func New(o Options) (*Client, error) {
	c := &Client{http: o.HTTPClient, logger: o.Logger, token: token{ask: o.Token}}
	if len(o.URLs) == 0 {
		return nil, errors.New("client: no URL: give at least one, like http://127.0.0.1:8080")
	}
	for _, address := range o.URLs {
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			return nil, fmt.Errorf("client: URL %q: want a base address, like http://127.0.0.1:8080", address)
		}
		c.urls = append(c.urls, strings.TrimRight(address, "/"))
	}
	if c.http == nil {
		c.http = http.DefaultClient
	}
	if c.logger == nil {
		c.logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// url is the n-th base address, counted round and round.
func (c *Client) url(n uint32) string { return c.urls[n%uint32(len(c.urls))] }

// request is what call sends; target follows the base address.
type request struct {
	method, target string
	header         http.Header
	body           string
}

// call sends r to the current node and returns the answer's body if the status
// is want, else a *ProblemError. If the node fails, the next call goes to
// another.
func (c *Client) call(ctx context.Context, r request, want int) ([]byte, error) {
	n := c.current.Load()
	body, err := c.callNode(ctx, c.url(n), r, want)
	if err != nil && temporary(err) && !errors.Is(err, context.Canceled) {
		c.current.CompareAndSwap(n, n+1)
	}
	return body, err
}

func (c *Client) callNode(ctx context.Context, base string, r request, want int) ([]byte, error) {
	res, err := c.sendAs(ctx, base, r, want)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	return readAnswer(res.Body)
}

// sendOnce is call without reading, with a token unless it is empty: the caller
// closes the answer's body.
func (c *Client) sendOnce(ctx context.Context, base string, r request, want int, token string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, base+r.target, strings.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	if r.header != nil {
		req.Header = r.header.Clone()
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != want {
		defer res.Body.Close()
		return nil, readProblem(res)
	}
	return res, nil
}

// maxAnswerBytes bounds an answer that is read as a whole: a page of the most
// messages (pubsub.MaxPage), each four times the default limit of 64 KiB.
const maxAnswerBytes = 256 << 20

func readAnswer(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxAnswerBytes+1))
	if err == nil && len(b) > maxAnswerBytes {
		err = fmt.Errorf("%w: an answer of more than %d bytes", wire.ErrMalformed, maxAnswerBytes)
	}
	return b, err
}
