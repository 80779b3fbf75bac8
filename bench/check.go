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
	// glance is how long a stream is watched, to see that it is not closed at
	// once.
	glance = 300 * time.Millisecond
)

// check finds out whether the servers do what the run asks of them, and
// reports what is wrong, a line each.
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
	_ = all.Wait() // for polls: their channel has a message
	for i := range c.nodes {
		all.Go(func() error {
			found[len(c.client.nodes)+i] = c.checkSubscribe(ctx, &c.nodes[i])
			return nil
		})
	}
	_ = all.Wait()
	return distinct(found)
}

// distinct joins errors that say different things.
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

// probe is the name of a channel that is none of the run's.
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

// checkSubscribe asks as a subscriber would.
func (c *coordinator) checkSubscribe(ctx context.Context, n *node) error {
	polls := c.plan.Transport == LongPoll || c.plan.Transport == ShortPoll
	s := &seek{channel: c.probe(), poll: polls}
	d := c.client.dialect
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, n.url(string(d.appendPath(nil, s))), nil)
	if err != nil {
		return err
	}
	for _, pair := range c.client.header {
		r.Header.Set(pair[0], pair[1])
	}
	if !polls {
		r.Header.Set("Accept", "text/event-stream")
	}
	// A connection of its own: this one may be left with a stream on it.
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

// watch sees whether a stream stays open.
func watch(what string, stream io.ReadCloser) error {
	timer := time.AfterFunc(glance, func() { stream.Close() })
	defer timer.Stop()
	began := time.Now()
	_, err := io.Copy(io.Discard, stream)
	if time.Since(began) < glance && (err == nil || kindOf(err) == kindClosed || kindOf(err) == kindReset) {
		return fmt.Errorf("%s: the server answers a subscriber and closes at once: it may be full, or the path or the preset is not for a stream", what)
	}
	return nil
}

// explainError says what an error of a request means.
func explainError(what string, err error) error {
	var name *net.DNSError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%s: nobody listens there (connection refused): is the server running, and is this its address?", what)
	case errors.As(err, &name):
		return fmt.Errorf("%s: the name cannot be resolved", what)
	case kindOf(err) == kindTimeout:
		return fmt.Errorf("%s: no answer within %v: is it the right address, and does the server send a stream's header before its first event?", what, checkTime)
	case strings.Contains(err.Error(), "malformed HTTP"):
		return fmt.Errorf("%s: what answers there does not speak HTTP/1.1: is it the right port, and not one with TLS?", what)
	case kindOf(err) == kindClosed, kindOf(err) == kindReset:
		return fmt.Errorf("%s: the server closes the connection without an answer: it may be full, or want TLS", what)
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // the rest is the URL again
	}
	return fmt.Errorf("%s: %w", what, err)
}

// explainStatus says what a status means. The query is left out: a template
// may have a secret in it.
func explainStatus(verb string, u *url.URL, r *http.Response, text []byte) error {
	where := *u
	where.RawQuery = ""
	advice := "is the preset, or the template, that of this server?"
	switch {
	case r.StatusCode == http.StatusUnauthorized:
		advice = "the token is missing or wrong"
	case r.StatusCode == http.StatusForbidden:
		advice = "the token is missing, or lacks the permission for these channels"
	case r.StatusCode == http.StatusTooManyRequests, r.StatusCode >= 500:
		advice = "the server is overloaded or in trouble"
	case r.StatusCode/100 == 3:
		advice = "name the address that it redirects to"
	}
	said := strings.Join(strings.Fields(string(text)), " ")
	if len(said) > 200 || said == "" || strings.HasPrefix(said, "<") {
		return fmt.Errorf("%s: %s to %s: %s", &where, r.Status, verb, advice)
	}
	return fmt.Errorf("%s: %s to %s: %s. It says: %s", &where, r.Status, verb, advice, said)
}

// primes reports whether channels need a message before subscribers come.
func (c *coordinator) primes() bool {
	t := c.plan.Transport
	return c.client.dialect.traits().primed && (t == LongPoll || t == Mixed)
}

// prime publishes to every channel a message that is none of the run's.
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
