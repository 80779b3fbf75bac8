package client

import (
	"context"
	"errors"
	"net/http"
	"sync"
)

// token is the client's current token and the function that returns a new one.
type token struct {
	ask func(context.Context) (string, error) // Options.Token; nil: requests are anonymous

	mu    sync.Mutex // held during ask, so that one answer serves all waiting requests
	text  string
	known bool
}

// get returns the current token. If that is the one refused, it asks for another.
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

// forget makes the next request ask for a token.
func (t *token) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known = false
}

// TokenError is a failure of Options.Token. It counts as temporary, like a
// network failure.
type TokenError struct{ Err error }

func (e *TokenError) Error() string { return "no token: " + e.Err.Error() }

// Unwrap implements errors.Unwrap.
func (e *TokenError) Unwrap() error { return e.Err }

// sendAs is sendOnce with the client's token. It renews a refused token once.
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
