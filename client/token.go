package client

import (
	"context"
	"errors"
	"net/http"
	"sync"
)

// token is what a client shows, and where it gets another one.
type token struct {
	ask func(context.Context) (string, error) // Options.Token; nil: nothing is shown

	mu    sync.Mutex // held while it asks, so that one answer serves all who wait
	text  string
	known bool
}

// get is the token; another one, if there is, for one that was refused.
func (t *token) get(ctx context.Context, refused string) (string, error) {
	if t.ask == nil {
		return "", nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known && (refused == "" || refused != t.text) {
		return t.text, nil
	}
	text, err := t.ask(ctx)
	if err != nil {
		return "", &TokenError{Err: err}
	}
	t.text, t.known = text, true
	return text, nil
}

// forget has the next request ask for a token.
func (t *token) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known = false
}

// TokenError is a failure of Options.Token. It counts as temporary, like one of
// the network.
type TokenError struct{ Err error }

func (e *TokenError) Error() string { return "no token: " + e.Err.Error() }

// Unwrap implements errors.Unwrap.
func (e *TokenError) Unwrap() error { return e.Err }

// sendAs is sendOnce with the token. One that is refused is renewed once.
func (c *Client) sendAs(ctx context.Context, base string, r request, want int) (*http.Response, error) {
	text, err := c.token.get(ctx, "")
	if err != nil {
		return nil, err
	}
	res, err := c.sendOnce(ctx, base, r, want, text)
	problem, ok := errors.AsType[*ProblemError](err)
	if !ok || problem.Status != http.StatusUnauthorized || text == "" {
		return res, err
	}
	other, failed := c.token.get(ctx, text)
	switch {
	case failed != nil:
		return nil, failed
	case other == text:
		return nil, err
	}
	return c.sendOnce(ctx, base, r, want, other)
}
