package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	checkTime = 10 * time.Second
	// glance is how long check reads a stream, to see that the server does not
	// close it at once.
	glance = 300 * time.Millisecond
)

// check tries a publish and a subscribe at every node. Its error has a line for
// each fault.
func (c *coordinator) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	var all errgroup.Group
	found := make([]error, len(c.client.nodes)+len(c.nodes))
	if c.plan.publishes() || c.primes() {
		for i := range c.client.nodes {
			all.Go(func() error {
				found[i] = c.checkPublish(ctx, &c.client.nodes[i])
				return nil
			})
		}
	}
	_ = all.Wait() // before the polls, so that their channel has a message
	for i := range c.nodes {
		all.Go(func() error {
			found[len(c.client.nodes)+i] = c.checkSubscribe(ctx, &c.nodes[i])
			return nil
		})
	}
	_ = all.Wait()
	return distinct(found)
}

// distinct joins the errors with different texts.
func distinct(found []error) error {
	said := make(map[string]bool)
	var errs []error
	for _, err := range found {
		if err != nil && !said[err.Error()] {
			said[err.Error()] = true
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// probe returns the name of a channel that the run does not use.
func (c *coordinator) probe() string { return fmt.Sprintf("%s-%08x-probe", c.plan.Channel, c.run) }

func (c *coordinator) checkPublish(ctx context.Context, n *node) error {
	r, err := c.client.request(ctx, n, c.probe(), fmt.Sprintf("%08x-probe", c.run), "probe")
	if err != nil {
		return err
	}
	response, text, err := c.client.ask(r)
	if err != nil {
		return explainError(n.url(""), err)
	}
	if response.StatusCode/100 != 2 {
		return explainStatus("publish", r.URL, response, text)
	}
	if why := c.client.dialect.refused(text); why != "" {
		return fmt.Errorf("%s: the server refuses to publish: %s", n.url(""), why)
	}
	return nil
}

// checkSubscribe sends a subscriber's request.
func (c *coordinator) checkSubscribe(ctx context.Context, n *node) error {
	polls := c.plan.Transport.polls()
	s := &seek{channel: c.probe(), poll: polls}
	d := c.client.dialect
	method, body := http.MethodGet, ""
	if poster, posts := d.(poster); posts {
		method, body = http.MethodPost, string(poster.appendBody(nil, s))
	}
	r, err := http.NewRequestWithContext(ctx, method, n.url(string(d.appendPath(nil, s))), strings.NewReader(body))
	if err != nil {
		return err
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, pair := range c.client.header {
		r.Header.Set(pair[0], pair[1])
	}
	if !polls {
		r.Header.Set("Accept", "text/event-stream")
	}
	// Use a separate connection: a stream may stay open on it.
	transport := c.client.http.Transport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(r)
	if err != nil {
		return explainError(n.url(""), err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 4<<10))
		return explainStatus("subscribe", r.URL, response, text)
	}
	if polls {
		return nil
	}
	return watch(n.url(""), response.Body)
}

// watch returns an error if the server closes the stream at once.
func watch(what string, stream io.ReadCloser) error {
	timer := time.AfterFunc(glance, func() { stream.Close() })
	defer timer.Stop()
	began := time.Now()
	_, err := io.Copy(io.Discard, stream)
	if time.Since(began) < glance && (err == nil || kindOf(err) == kindClosed || kindOf(err) == kindReset) {
		return fmt.Errorf("%s: the server accepts a subscriber and closes the stream at once: it may be full, or the path or preset is not a stream's", what)
	}
	return nil
}

// explainError returns an error that says what err, of a request, means and what to do.
func explainError(what string, err error) error {
	var name *net.DNSError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%s: connection refused: is the server running, and is this its address?", what)
	case errors.As(err, &name):
		return fmt.Errorf("%s: the name cannot be resolved", what)
	case kindOf(err) == kindTimeout:
		return fmt.Errorf("%s: no answer within %v: is it the right address, and does the server send a stream's header before its first event?", what, checkTime)
	case strings.Contains(err.Error(), "malformed HTTP"):
		return fmt.Errorf("%s: the server does not speak HTTP/1.1: is it the right port, and one without TLS?", what)
	case kindOf(err) == kindClosed, kindOf(err) == kindReset:
		return fmt.Errorf("%s: the server closes the connection without an answer: it may be full, or expect TLS", what)
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // the rest repeats the URL
	}
	return fmt.Errorf("%s: %w", what, err)
}

// explainStatus returns an error that says what r's status means and what to do.
// It leaves out the query, which may have a secret from a template in it.
func explainStatus(verb string, u *url.URL, r *http.Response, text []byte) error {
	where := *u
	where.RawQuery = ""
	advice := "is the preset or template right for this server?"
	switch {
	case r.StatusCode == http.StatusUnauthorized:
		advice = "the token is missing or wrong"
	case r.StatusCode == http.StatusForbidden:
		advice = "the token is missing, or lacks the permission for these channels"
	case r.StatusCode == http.StatusTooManyRequests, r.StatusCode >= 500:
		advice = "the server is overloaded or in trouble"
	case r.StatusCode/100 == 3:
		advice = "use the address that it redirects to"
	}
	said := strings.Join(strings.Fields(string(text)), " ")
	if len(said) > 200 || said == "" || strings.HasPrefix(said, "<") {
		return fmt.Errorf("%s: %s to %s: %s", &where, r.Status, verb, advice)
	}
	return fmt.Errorf("%s: %s to %s: %s. It says: %s", &where, r.Status, verb, advice, said)
}

// primes reports whether channels need a message before subscribers connect.
func (c *coordinator) primes() bool {
	t := c.plan.Transport
	return c.client.dialect.traits().primed && (t == LongPoll || t == Mixed)
}

// prime publishes a message to every channel that does not count for the run.
func (c *coordinator) prime(ctx context.Context) error {
	var all errgroup.Group
	all.SetLimit(max(4, c.plan.Publishers))
	for channel := range c.plan.Channels {
		all.Go(func() error {
			name := c.name(channel)
			r, err := c.client.request(ctx, &c.client.nodes[channel%len(c.client.nodes)], name, fmt.Sprintf("%08x-prime-%d", c.run, channel), "prime")
			if err != nil {
				return err
			}
			response, text, err := c.client.ask(r)
			if err != nil {
				return explainError(r.URL.Host, err)
			}
			if response.StatusCode/100 != 2 {
				return explainStatus("publish", r.URL, response, text)
			}
			return nil
		})
	}
	return all.Wait()
}
