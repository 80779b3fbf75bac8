package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"comet/gateway/wire"
	"comet/pubsub"
)

var refused = answer(http.StatusUnauthorized, "application/problem+json", `{"type":"urn:comet:problem:credential-expired","title":"Not authorized","status":401,"detail":"It has expired."}`)

// numbered makes the client's tokens 1, 2, 3…, or those of from, over and over.
func numbered(n *nodes, from ...string) {
	asked := 0
	n.client.token.ask = func(context.Context) (string, error) {
		asked++
		if len(from) > 0 {
			return from[(asked-1)%len(from)], nil
		}
		return fmt.Sprint(asked), nil
	}
}

// shown returns the tokens of the requests, in order.
func (n *nodes) shown() (all []string) {
	for _, r := range n.requests() {
		all = append(all, r.Header.Get("Authorization"))
	}
	return all
}

func checkShown(t *testing.T, n *nodes, want ...string) {
	t.Helper()
	if got := n.shown(); !slices.Equal(got, want) {
		t.Errorf("the requests had %q, want %q", got, want)
	}
}

func TestTokenIsRenewedWhenRefused(t *testing.T) {
	withNodes(t, func(t *testing.T, n *nodes) {
		numbered(n)
		for range 2 {
			if _, err := n.client.Publish(t.Context(), pubsub.Draft{Channel: "a", Data: []byte("1")}); err != nil {
				t.Error(err)
			}
		}
		checkShown(t, n, "Bearer 1", "Bearer 2", "Bearer 2")
	}, refused, answer(http.StatusCreated, "application/json", `{"id":"1-1","channel":"a"}`), answer(http.StatusCreated, "application/json", `{"id":"1-2","channel":"a"}`))
}

func TestTokenWithoutAnother(t *testing.T) {
	withNodes(t, func(t *testing.T, n *nodes) {
		numbered(n, "same")
		_, err := take(t.Context(), n.client, SubscribeOptions{}, 1)
		if problem, ok := errors.AsType[*ProblemError](err); !ok || problem.Status != http.StatusUnauthorized {
			t.Errorf("got %v", err)
		}
		checkShown(t, n, "Bearer same")
	}, refused)
}

// A client waits for a token that is not valid yet, as long as the server says.
func TestTokenNotYetValid(t *testing.T) {
	early := answer(http.StatusUnauthorized, "application/problem+json", `{"type":"urn:comet:problem:credential-not-yet-valid","status":401}`, "Retry-After", "3")
	withNodes(t, func(t *testing.T, n *nodes) {
		numbered(n, "same")
		began := time.Now()
		if _, err := n.client.Publish(t.Context(), pubsub.Draft{Channel: "a", Data: []byte("1")}); err != nil {
			t.Error(err)
		}
		if waited := time.Since(began); waited < 3*time.Second {
			t.Errorf("waited %v", waited)
		}
		checkShown(t, n, "Bearer same", "Bearer same")
	}, early, answer(http.StatusCreated, "application/json", `{"id":"1-1","channel":"a"}`))
}

// After a new token is refused too, the refusal stands.
func TestTokenIsRenewedOnce(t *testing.T) {
	withNodes(t, func(t *testing.T, n *nodes) {
		numbered(n)
		if _, err := n.client.History(t.Context(), "a", HistoryOptions{}); err == nil {
			t.Error("no error")
		}
		checkShown(t, n, "Bearer 1", "Bearer 2")
	}, refused, refused)
}

// A stream that ends with its token reconnects with a new one, without a refusal.
func TestTokenAfterBye(t *testing.T) {
	for _, reason := range []string{"token-expired", "revoked"} {
		withNodes(t, func(t *testing.T, n *nodes) {
			numbered(n)
			got, err := take(t.Context(), n.client, SubscribeOptions{}, 4)
			checkTaken(t, got, err, "ready @1-0", "bye @1-0", "ready @1-0", "message 2 @2-0")
			checkShown(t, n, "Bearer 1", "Bearer 2")
		}, streaming(closing, ready(1), wire.SSE.AppendBye(nil, reason, 0)), streaming(frozen, ready(1), sent(2)))
	}
}

// Without a token a subscription waits, as it does for the network.
func TestTokenFails(t *testing.T) {
	withNodes(t, func(t *testing.T, n *nodes) {
		asked := 0
		n.client.token.ask = func(context.Context) (string, error) {
			if asked++; asked == 1 {
				return "", errors.New("on purpose")
			}
			return "good", nil
		}
		if _, err := n.client.History(t.Context(), "a", HistoryOptions{}); err == nil {
			t.Error("a single request has no error")
		} else if _, ok := errors.AsType[*TokenError](err); !ok {
			t.Errorf("got %v", err)
		}
		asked = 0
		got, err := take(t.Context(), n.client, SubscribeOptions{}, 1)
		checkTaken(t, got, err, "ready @1-0")
		checkShown(t, n, "Bearer good")
	}, streaming(frozen, ready(1)))
}
