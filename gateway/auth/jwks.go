package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"comet/internal/httpurl"
)

// Bounds of fetching.
const (
	defaultRefresh = 15 * time.Minute
	fetchTimeout   = 10 * time.Second
	fetchRetry     = 10 * time.Second // after a failure, at most
	fetchPause     = 10 * time.Second // between a fetch and one that an unknown key asks for
	newerTimeout   = 5 * time.Second  // for a request that waits for a fetch
	maxKeySet      = 1 << 20          // bytes
)

// jwks holds the keys of a JWK set (RFC 7517) at a URL. It keeps the last valid
// keys while the URL cannot be reached.
type jwks struct {
	url     string
	refresh time.Duration
	pause   time.Duration
	client  *http.Client
	logger  *slog.Logger
	set     atomic.Pointer[keySet] // nil until the first fetch succeeds
	asked   chan chan struct{}     // requests for a fetch; run closes each one after it

	logged []byte // the answer whose skipped keys were logged last; used by run alone
}

func newJWKS(o TokenOptions) (*jwks, error) {
	u, err := url.Parse(o.JWKSURL)
	if err != nil || u.Host == "" || !httpurl.Secure(u) {
		// A man in the middle could add a key of his own.
		return nil, errors.New("the JWKS URL must be https://…, or http:// on loopback")
	}
	j := &jwks{
		url:     o.JWKSURL,
		refresh: o.JWKSRefresh,
		pause:   fetchPause,
		client:  &http.Client{Timeout: fetchTimeout, CheckRedirect: checkRedirect},
		logger:  o.Logger,
		asked:   make(chan chan struct{}),
	}
	if j.refresh <= 0 {
		j.refresh = defaultRefresh
	}
	if j.logger == nil {
		j.logger = slog.New(slog.DiscardHandler)
	}
	return j, nil
}

// checkRedirect allows few redirects, and only to https. A set that is configured
// as http on loopback may also be redirected to http on loopback. From https this
// is refused: a program on this machine could choose who signs tokens.
func checkRedirect(r *http.Request, via []*http.Request) error {
	fromHTTPS := via[len(via)-1].URL.Scheme == "https"
	switch {
	case len(via) > 3:
		return errors.New("too many redirects")
	case r.URL.Scheme != "https" && fromHTTPS, !httpurl.Secure(r.URL):
		return errors.New("redirect to a URL that is not https")
	}
	return nil
}

// run fetches at once, every refresh and when asked, until ctx ends.
func (j *jwks) run(ctx context.Context) {
	var asked chan struct{}
	for ctx.Err() == nil {
		wait := j.refresh
		if err := j.fetch(ctx); err != nil && ctx.Err() == nil {
			wait = min(wait, fetchRetry)
			j.logger.WarnContext(ctx, "fetching the keys for tokens failed; retrying", "setting", "auth.jwt.jwks_url", "error", err)
		}
		if asked != nil {
			close(asked)
		}
		asked = j.next(ctx, wait)
	}
}

// next returns when the next fetch is due: after wait, or earlier if a request
// asks for it; then asked must be closed after the fetch. Requests within the
// pause get no fetch.
func (j *jwks) next(ctx context.Context, wait time.Duration) (asked chan struct{}) {
	fetched := time.Now()
	due := time.NewTimer(wait)
	defer due.Stop()
	for {
		select {
		case asked := <-j.asked:
			if time.Since(fetched) >= j.pause {
				return asked
			}
			close(asked)
		case <-due.C:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// current returns nil until the first keys are fetched, and if j is nil.
func (j *jwks) current() *keySet {
	if j == nil {
		return nil
	}
	return j.set.Load()
}

// newer asks run for a fetch if old is the current set, and waits for its end. It
// returns the current set then, which is old if there are no other keys, or if
// the last fetch was within the pause.
func (j *jwks) newer(ctx context.Context, old *keySet) *keySet {
	if set := j.current(); set != old {
		return set
	}
	ctx, cancel := context.WithTimeout(ctx, newerTimeout)
	defer cancel()
	fetched := make(chan struct{})
	select {
	case j.asked <- fetched: // after a fetch that is under way
		select {
		case <-fetched:
		case <-ctx.Done():
		}
	case <-ctx.Done():
	}
	return j.current()
}

// fetch replaces the set if the URL returns other keys.
func (j *jwks) fetch(ctx context.Context) error {
	text, err := j.get(ctx)
	if err != nil {
		return err
	}
	verifiers, skipped, err := parseKeySet(text)
	j.logSkipped(ctx, text, skipped)
	if old := j.current(); err == nil && (old == nil || !bytes.Equal(text, old.text)) {
		j.set.Store(&keySet{text, verifiers})
	}
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

// get returns the body of the answer. Its errors do not contain the URL, which may
// hold a password.
func (j *jwks) get(ctx context.Context) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, j.url, nil)
	if err != nil {
		return nil, errors.New("invalid URL")
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
		err = fmt.Errorf("the answer is longer than %d bytes", maxKeySet)
	}
	return text, err
}
