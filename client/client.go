// Package client is the Go client of Comet's HTTP API: publish exactly once,
// subscribe with resume, read history and presence. The command line and the
// tests use it too, so it hides no fault of a server: it drops no duplicates and
// repairs no order. It resumes exactly where it stopped.
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
	// URLs are the base addresses of one or more nodes or load balancers, like
	// http://127.0.0.1:8080. The client goes to the next one after a failure,
	// and whenever a subscription reconnects.
	URLs []string
	// HTTPClient sends the requests; nil is http.DefaultClient. It must have
	// no Timeout, which would end streams.
	HTTPClient *http.Client
	// Token returns the token or API key to send as Authorization: Bearer. It is
	// called before the first request, and again when the server refuses the
	// last token or the token expires. If it returns the same token again, the
	// refusal is the result. With nil or an empty token, requests are anonymous.
	Token func(context.Context) (string, error)
	// Logger gets a warning for each retry; nil discards them.
	Logger *slog.Logger
}

// Client sends requests to Comet. Its methods may be called concurrently. It
// needs no Close.
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
			return nil, fmt.Errorf("client: URL %q: want a base address without a query, like http://127.0.0.1:8080", withoutSecrets(address))
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

// withoutSecrets returns an invalid address without its user, password and query, which
// may be a token.
func withoutSecrets(address string) string {
	address = address[:min(len(address), strings.IndexFunc(address+"?", func(r rune) bool { return r == '?' || r == '#' }))]
	return address[strings.LastIndexByte(address, '@')+1:]
}

// url returns the n-th base address, modulo their number.
func (c *Client) url(n uint32) string { return c.urls[n%uint32(len(c.urls))] }

// request is an HTTP request; target is appended to the base address.
type request struct {
	method, target string
	header         http.Header
	body           string
}

// getPage gets the page that query chooses at target, and parses it.
func getPage[T any](ctx context.Context, c *Client, target string, query url.Values, parse func([]byte) (T, error)) (page T, err error) {
	body, err := c.call(ctx, request{method: http.MethodGet, target: target + "?" + query.Encode()}, http.StatusOK)
	if err != nil {
		return page, err
	}
	return parse(body)
}

// call sends r to the current node and returns the response's body if the status
// is want, else a *ProblemError. If the node fails, the next call goes to
// another node.
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

// sendOnce sends r to base, with token unless it is empty. The caller closes the
// response's body.
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

// maxAnswerBytes bounds a response that is read as a whole: the largest page
// (pubsub.MaxPage) of messages of four times the default limit of 64 KiB.
const maxAnswerBytes = 256 << 20

func readAnswer(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxAnswerBytes+1))
	if err == nil && len(b) > maxAnswerBytes {
		err = fmt.Errorf("%w: an answer of more than %d bytes", wire.ErrMalformed, maxAnswerBytes)
	}
	return b, err
}
