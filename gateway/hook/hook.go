// Package hook lets the application behind a node take part: it is asked who
// may subscribe and publish (Asker), and told who comes and goes (Events).
// Both are signed requests to a URL of its own. docs/hooks.md describes them
// for the application.
package hook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// minSecret is the bytes of SHA-256: a shorter secret would be the weakest part.
const minSecret = 32

// maxAnswer bounds the header and the body of an answer, in bytes each.
const maxAnswer = 16 << 10

// Endpoint is a URL of the application.
type Endpoint struct {
	URL    string // https, or http on loopback; redirects are not followed
	Secret []byte // signs what is sent there; 32 bytes at least
}

// check is an error that names everything that is wrong, and shows none of it.
func (e *Endpoint) check() error {
	var errs []error
	u, err := url.Parse(e.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && !isLocal(u) {
		// Whoever can change an answer on its way can let anybody in.
		errs = append(errs, errors.New("the URL must be https://…, or http:// on loopback"))
	}
	if len(e.Secret) < minSecret {
		errs = append(errs, fmt.Errorf("the secret must have %d bytes at least, as `openssl rand -hex 32` makes them", minSecret))
	}
	return errors.Join(errs...)
}

func isLocal(u *url.URL) bool {
	addr, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && addr.IsLoopback())
}

// caller posts JSON to an endpoint.
type caller struct {
	Endpoint
	client *http.Client
}

// newCaller makes one that keeps so many connections for the next posts, and
// tries for as long as timeout to make one.
func newCaller(e Endpoint, connections int, timeout time.Duration) *caller {
	return &caller{e, &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: timeout}).DialContext,
			TLSHandshakeTimeout:    timeout,
			ForceAttemptHTTP2:      true,
			MaxIdleConnsPerHost:    connections,
			IdleConnTimeout:        time.Minute,
			MaxResponseHeaderBytes: maxAnswer,
		},
	}}
}

// post sends body, signed, and reads the answer, maxAnswer+1 bytes at most. A
// status without an answer comes with an error too; 0: not even a status came.
// No error has the URL, which may hold a password.
func (c *caller) post(ctx context.Context, body []byte) (status int, answer []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(body))
	if err != nil {
		return 0, nil, errors.New("the URL is none")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "comet")
	request.Header.Set(SignatureHeader, sign(c.Secret, body, time.Now()))
	response, err := c.client.Do(request)
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return 0, nil, failed.Err
	}
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	return response.StatusCode, answer, err
}

// close lets go of the connections that are kept. The caller works on.
func (c *caller) close() { c.client.CloseIdleConnections() }
