package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"
)

// Bounds of fetching.
const (
	defaultRefresh = 15 * time.Minute
	fetchTimeout   = 10 * time.Second
	fetchRetry     = 10 * time.Second // after a failure, at most
	fetchPause     = 10 * time.Second // between fetches that unknown keys ask for
	newerTimeout   = 5 * time.Second  // that a request waits for one
	maxKeySet      = 1 << 20          // bytes
)

// jwks has the keys of a JWK set (RFC 7517) at a URL. It keeps the last good
// ones while the URL is away.
type jwks struct {
	url     string
	refresh time.Duration
	pause   time.Duration
	client  *http.Client
	logger  *slog.Logger
	asked   chan struct{} // has one item if a fetch is wanted now; sent with mu

	logged []byte // the answer whose skipped keys were logged last; used by run alone

	mu       sync.Mutex
	set      *keySet // nil until the first was fetched
	fetching bool
	ended    time.Time     // of the last fetch; zero: none yet
	finished chan struct{} // closed, and replaced, at the end of each fetch
}

func newJWKS(o TokenOptions) (*jwks, error) {
	u, err := url.Parse(o.JWKSURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && !isLocal(u) {
		// Whoever can change it on its way can sign tokens.
		return nil, errors.New("the JWKS URL must be https://…, or http:// on loopback")
	}
	j := &jwks{
		url:      o.JWKSURL,
		refresh:  o.JWKSRefresh,
		pause:    fetchPause,
		client:   &http.Client{Timeout: fetchTimeout, CheckRedirect: checkRedirect},
		logger:   o.Logger,
		asked:    make(chan struct{}, 1),
		finished: make(chan struct{}),
	}
	if j.refresh <= 0 {
		j.refresh = defaultRefresh
	}
	if j.logger == nil {
		j.logger = slog.New(slog.DiscardHandler)
	}
	return j, nil
}

func isLocal(u *url.URL) bool {
	addr, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && addr.IsLoopback())
}

// checkRedirect allows few redirects, to https. Only a set that is configured as
// http on loopback may also be redirected to http on loopback: from https, an
// open port of this machine would choose who signs tokens.
func checkRedirect(r *http.Request, via []*http.Request) error {
	fromHTTPS := via[len(via)-1].URL.Scheme == "https"
	switch {
	case len(via) > 3:
		return errors.New("too many redirects")
	case r.URL.Scheme != "https" && (fromHTTPS || !isLocal(r.URL)):
		return errors.New("a redirect to a URL that is not https")
	}
	return nil
}

// run fetches now, every refresh, and when asked, until ctx ends.
func (j *jwks) run(ctx context.Context) {
	for ctx.Err() == nil {
		wait := j.refresh
		if err := j.fetch(ctx); err != nil && ctx.Err() == nil {
			wait = min(wait, fetchRetry)
			j.logger.WarnContext(ctx, "keys for tokens not fetched", "setting", "auth.jwt.jwks_url", "error", err)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-j.asked:
		}
		timer.Stop()
	}
}

// current is nil until the first keys came, and if j is nil.
func (j *jwks) current() *keySet {
	if j == nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.set
}

// newer asks for a fetch, unless the last one was just now, and waits for its
// end. The result is not old if there are other keys than old.
func (j *jwks) newer(ctx context.Context, old *keySet) *keySet {
	set, finished := j.ask(old)
	if finished == nil {
		return set
	}
	ctx, cancel := context.WithTimeout(ctx, newerTimeout)
	defer cancel()
	select {
	case <-finished:
	case <-ctx.Done():
	}
	return j.current()
}

// ask asks for a fetch and returns what ends with it; nil: there will be none,
// or there are newer keys than old.
func (j *jwks) ask(old *keySet) (set *keySet, finished <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.set != old:
		return j.set, nil
	case j.fetching:
		return j.set, j.finished
	case !j.ended.IsZero() && time.Since(j.ended) < j.pause:
		return j.set, nil
	}
	select {
	case j.asked <- struct{}{}:
	default: // somebody else has
	}
	return j.set, j.finished
}

func (j *jwks) fetch(ctx context.Context) error {
	j.mu.Lock()
	j.fetching = true
	select {
	case <-j.asked: // this is the one that was asked for
	default:
	}
	j.mu.Unlock()

	text, err := j.get(ctx)
	var verifiers []*verifier
	if err == nil {
		var skipped []skippedKey
		verifiers, skipped, err = parseKeySet(text)
		j.logSkipped(ctx, text, skipped)
	}

	j.mu.Lock()
	defer j.mu.Unlock()
	if err == nil && (j.set == nil || !bytes.Equal(text, j.set.text)) {
		j.set = &keySet{text, verifiers}
	}
	j.fetching, j.ended = false, time.Now()
	close(j.finished)
	j.finished = make(chan struct{})
	return err
}

// skippedLogged bounds the skipped keys of one answer that are logged.
const skippedLogged = 20

// logSkipped logs the skipped keys of an answer once, not at every fetch.
func (j *jwks) logSkipped(ctx context.Context, answer []byte, skipped []skippedKey) {
	if bytes.Equal(answer, j.logged) {
		return
	}
	j.logged = answer
	for _, k := range skipped[:min(len(skipped), skippedLogged)] {
		level := slog.LevelWarn
		if k.expected {
			level = slog.LevelDebug
		}
		j.logger.Log(ctx, level, "key of the JWK set skipped", "setting", "auth.jwt.jwks_url", "kid", k.id, "reason", k.reason)
	}
}

// get returns no error that has the URL, which may hold a password.
func (j *jwks) get(ctx context.Context) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, j.url, nil)
	if err != nil {
		return nil, errors.New("the URL is none")
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := j.client.Do(request)
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return nil, failed.Err
	}
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer has status %d", response.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxKeySet+1))
	if err == nil && len(text) > maxKeySet {
		err = fmt.Errorf("the answer has more than %d bytes", maxKeySet)
	}
	return text, err
}
