package client

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"comet/gateway/wire"
	"comet/pubsub"
)

func TestNewRefuses(t *testing.T) {
	for _, urls := range [][]string{nil, {""}, {"127.0.0.1:8080"}, {"localhost:8080"}, {"ftp://a"}, {"http://"}, {"http://a", "http://a/?b"}, {"http://a#b"}} {
		if _, err := New(Options{URLs: urls}); err == nil {
			t.Errorf("%q: no error", urls)
		}
	}
}

func TestHistory(t *testing.T) {
	page := &wire.History{Messages: []*pubsub.Message{testMessage(3), testMessage(2)}, More: true}
	withNodes(t, func(t *testing.T, n *nodes) {
		got, err := n.client.History(t.Context(), "chat/42", HistoryOptions{Before: pubsub.ID{MS: 4}, Limit: 2, Order: NewestFirst})
		if err != nil || len(got.Messages) != 2 || got.Messages[1].ID.MS != 2 || !got.More {
			t.Errorf("got %+v, %v", got, err)
		}
		if got := n.requests()[0].RequestURI; got != "/v1/channels/chat%2F42/messages?before=4-0&limit=2&order=desc" {
			t.Error(got)
		}
		_, err = n.client.History(t.Context(), "a", HistoryOptions{})
		if problem, ok := errors.AsType[*ProblemError](err); !ok || problem.RetryAfter != 9*time.Second || problem.Detail != "Redis is away." {
			t.Errorf("got %v", err)
		}
		if _, err = n.client.History(t.Context(), "a", HistoryOptions{After: pubsub.ID{MS: 1}, Order: OldestFirst}); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("got %v", err)
		}
		if got := n.requests()[2].RequestURI; got != "/v1/channels/a/messages?after=1-0&order=asc" {
			t.Error(got)
		}
		if _, err = n.client.History(t.Context(), "", HistoryOptions{}); err == nil {
			t.Error("no error for no channel")
		}
	}, ok(string(page.AppendJSON(nil))), unavailable("9"), ok("{}"))
}

func TestProblemError(t *testing.T) {
	tests := []struct {
		name string
		step http.HandlerFunc
		want string
	}{
		{"problem", answer(413, "application/problem+json", `{"title":"Too large","status":1,"detail":"Send less."}`), "413 Too large: Send less."},
		{"text", answer(404, "text/plain", "404 page not found"), "404 Not Found"},
		{"half a problem", answer(400, "application/problem+json", `{"title":"x","status":"y"}`), "400 Bad Request"},
		{"no error, but not what was asked for", answer(204, "", ""), "204 No Content"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			withNodes(t, func(t *testing.T, n *nodes) {
				_, err := n.client.History(t.Context(), "a", HistoryOptions{})
				if problem, ok := errors.AsType[*ProblemError](err); !ok || problem.Error() != test.want {
					t.Errorf("got %v, want %s", err, test.want)
				}
			}, test.step)
		})
	}
}

var retryAfterTests = map[string]time.Duration{
	"":                              0,
	"0":                             0,
	"120":                           2 * time.Minute,
	"999999":                        5 * time.Minute,
	"-1":                            0,
	"1.5":                           0,
	"soon":                          0,
	"Thu, 01 Jan 2026 00:00:30 GMT": 30 * time.Second,
	"Thu, 01 Jan 2026 01:00:00 GMT": 5 * time.Minute,
	"Wed, 31 Dec 2025 00:00:00 GMT": 0,
}

var newYear = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestRetryAfter(t *testing.T) {
	for value, want := range retryAfterTests {
		if got := retryAfter(value, newYear); got != want {
			t.Errorf("%q: got %v, want %v", value, got, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for value := range retryAfterTests {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if got := retryAfter(value, newYear); got < 0 || got > 5*time.Minute {
			t.Errorf("%q: %v", value, got)
		}
	})
}

// TestNoSecretInURLErrors: an address may hold a password or a token, and an error of it goes to logs.
func TestNoSecretInURLErrors(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"http://node.example/?access_token=hush", "http://alice:hush@node.example?x", "ftp://alice:hush@node.example",
		"http://node.example/#hush", "http://alice:hush@[node.example", "alice:hush@node.example", "?hush", "",
	} {
		_, err := New(Options{URLs: []string{address}})
		if err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: %v", address, err)
		}
	}
}
