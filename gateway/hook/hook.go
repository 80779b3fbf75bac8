// Package hook calls webhooks of the application. An Asker asks it who may subscribe
// and publish, and Events sends it connects, disconnects and first and last
// subscribers. Requests are signed; the application checks them with Verify.
// docs/hooks.md describes them for the application.
package hook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"comet/internal/httpurl"
)

// minSecret is the size of SHA-256 in bytes. A shorter secret is weaker than the
// hash.
const minSecret = 32

// maxAnswer bounds the header and the body of an answer, each in bytes.
const maxAnswer = 16 << 10

// Endpoint is a URL of the application.
type Endpoint struct {
	URL    string // https, or http on loopback; redirects are not followed
	Secret []byte // signs requests; at least 32 bytes
}

// check returns an error that names every invalid field and shows no value.
func (e *Endpoint) check() error {
	var errs []error
	u, err := url.Parse(e.URL)
	if err != nil || u.Host == "" || !httpurl.Secure(u) {
		// A man in the middle could allow everything.
		errs = append(errs, errors.New("the URL must be https://…, or http:// on loopback"))
	}
	if len(e.Secret) < minSecret {
		errs = append(errs, fmt.Errorf("the secret must have at least %d bytes, as from `openssl rand -hex 32`", minSecret))
	}
	return errors.Join(errs...)
}

// caller posts JSON to an endpoint.
type caller struct {
	Endpoint
	client *http.Client
}

// newCaller makes a caller that keeps up to connections idle ones. timeout bounds
// each dial and handshake.
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

// post sends body, signed, and reads at most maxAnswer+1 bytes of the answer. status
// is 0 without an answer. After a status, err is an error of reading the body.
// Errors do not contain the URL, which may hold a password.
func (c *caller) post(ctx context.Context, body []byte) (status int, answer []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(body))
	if err != nil {
		return 0, nil, errors.New("invalid URL")
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

// close closes idle connections. The caller can still be used.
func (c *caller) close() { c.client.CloseIdleConnections() }
