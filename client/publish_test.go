package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"comet/gateway/wire"
	"comet/pubsub"
)

const published = `{"id":"7-0","channel":"news","duplicate":false}`

func created(body string) http.HandlerFunc {
	return answer(http.StatusCreated, "application/json", body)
}

// reading stores the request's body in *body.
func reading(body *string, step http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		*body = string(b)
		step(w, r)
	}
}

func TestPublishRequest(t *testing.T) {
	tests := []struct {
		name   string
		draft  pubsub.Draft
		target string
		key    string // "random", "none" or itself
	}{
		{"plain", pubsub.Draft{Channel: "news"}, "/v1/channels/news/messages?", "random"},
		{"type and key", pubsub.Draft{Channel: "news", Type: "a:b", Key: "k1"}, "/v1/channels/news/messages?type=a%3Ab", "k1"},
		{"ephemeral", pubsub.Draft{Channel: "news", Ephemeral: true}, "/v1/channels/news/messages?ephemeral=true", "none"},
		{"odd channel", pubsub.Draft{Channel: "chat/é?#%"}, "/v1/channels/chat%2F%C3%A9%3F%23%25/messages?", "random"},
		{"dots", pubsub.Draft{Channel: ".."}, "/v1/channels/%2E%2E/messages?", "random"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var body string
			withNodes(t, func(t *testing.T, n *nodes) {
				test.draft.Data = []byte(`{"a":"<b>"}`)
				got, err := n.client.Publish(t.Context(), test.draft)
				want := Receipt{ID: pubsub.ID{MS: 7}, Channel: test.draft.Channel}
				if test.draft.Ephemeral {
					want.ID = pubsub.ID{}
				}
				if err != nil || got != want {
					t.Errorf("got %+v, %v", got, err)
				}
				r := n.requests()[0]
				if r.RequestURI != test.target || r.Header.Get("Content-Type") != "application/json" || body != `{"a":"<b>"}` {
					t.Errorf("got %s, %s", r.RequestURI, body)
				}
				key := r.Header.Get("Idempotency-Key")
				if test.key == "none" && key != "" || test.key == "random" && len(key) < 20 ||
					test.key != "none" && test.key != "random" && key != test.key {
					t.Errorf("key %q", key)
				}
			}, reading(&body, created(published)))
		})
	}
}

// TestPublishOnce: the first try is published, but its answer is lost.
func TestPublishOnce(t *testing.T) {
	withNodes(t, func(t *testing.T, n *nodes) {
		got, err := n.client.Publish(t.Context(), pubsub.Draft{Channel: "news", Data: []byte("1")})
		if err != nil || got != (Receipt{ID: pubsub.ID{MS: 7}, Channel: "news"}) {
			t.Errorf("got %+v, %v", got, err)
		}
		for i, r := range n.requests() {
			if key := r.Header.Get("Idempotency-Key"); key == "" || key != n.requests()[0].Header.Get("Idempotency-Key") {
				t.Errorf("try %d: key %q", i+1, key)
			}
		}
		if wait := n.requests()[2].after - n.requests()[1].after; wait < 7*time.Second || wait > 9*time.Second {
			t.Errorf("came back after %v, asked for 7s", wait)
		}
		if n.requests()[0].Host != "node-1" || n.requests()[1].Host != "node-2" || n.requests()[2].Host != "node-1" {
			t.Error("the nodes did not take turns")
		}
	}, cut, unavailable("7"), created(`{"id":"7-0","channel":"news","duplicate":true}`))
}

func TestPublishTellsDuplicate(t *testing.T) {
	withNodes(t, func(t *testing.T, n *nodes) {
		got, err := n.client.Publish(t.Context(), pubsub.Draft{Channel: "news", Data: []byte("1"), Key: "k"})
		if err != nil || !got.Duplicate {
			t.Errorf("got %+v, %v", got, err)
		}
	}, created(`{"id":"7-0","channel":"news","duplicate":true}`))
}

func TestPublishLeavesFrozenNode(t *testing.T) {
	withNodes(t, func(t *testing.T, n *nodes) {
		for range 2 {
			if _, err := n.client.Publish(t.Context(), pubsub.Draft{Channel: "news", Data: []byte("1")}); err != nil {
				t.Error(err)
			}
		}
		if n.requests()[1].after < tryTimeout || n.requests()[1].Host != "node-2" || n.requests()[2].Host != "node-2" {
			t.Error("want the other node after the timeout, and it again for the next")
		}
	}, frozen, created(published), created(published))
}

func TestPublishGivesUp(t *testing.T) {
	refused := answer(http.StatusRequestEntityTooLarge, "application/problem+json", `{"title":"Too large","detail":"Send less."}`)
	throttled := answer(http.StatusTooManyRequests, "text/plain", "slow down", "Retry-After", "3")
	tests := []struct {
		name      string
		ephemeral bool
		timeout   time.Duration
		steps     []http.HandlerFunc
		status    int
		after     time.Duration
	}{
		{"on a wrong request", false, time.Hour, []http.HandlerFunc{refused}, 413, 0},
		{"on an ephemeral message", true, time.Hour, []http.HandlerFunc{unavailable("1")}, 503, 0},
		{"at once if the deadline is too near", false, 5 * time.Second, []http.HandlerFunc{throttled, unavailable("60")}, 503, 4 * time.Second},
		{"before keys are forgotten", false, time.Hour, repeat(unavailable("41"), 3), 503, 2 * time.Minute},
		{"after the last try", false, time.Hour, repeat(unavailable(""), publishTries), 503, time.Minute},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			withNodes(t, func(t *testing.T, n *nodes) {
				ctx, cancel := context.WithTimeout(t.Context(), test.timeout)
				defer cancel()
				_, err := n.client.Publish(ctx, pubsub.Draft{Channel: "news", Data: []byte("1"), Ephemeral: test.ephemeral})
				problem, ok := errors.AsType[*ProblemError](err)
				if !ok || problem.Status != test.status || time.Since(n.start) > test.after {
					t.Errorf("got %v after %v", err, time.Since(n.start))
				}
			}, test.steps...)
		})
	}
}

func repeat(step http.HandlerFunc, times int) []http.HandlerFunc {
	var steps []http.HandlerFunc
	for range times {
		steps = append(steps, step)
	}
	return steps
}

// A key that was used for another message is an error of its own. It is not
// retried.
func TestPublishKeyReused(t *testing.T) {
	reused := `{"type":"urn:comet:problem:idempotency-key-reused","title":"x","status":409,"detail":"y"}`
	draft := pubsub.Draft{Channel: "news", Data: []byte("1"), Key: "k"}
	withNodes(t, func(t *testing.T, n *nodes) {
		if _, err := n.client.Publish(t.Context(), draft); !errors.Is(err, pubsub.ErrKeyReused) || len(n.requests()) != 1 {
			t.Errorf("got %v after %d requests", err, len(n.requests()))
		}
	}, answer(http.StatusConflict, "application/problem+json", reused))
	withNodes(t, func(t *testing.T, n *nodes) {
		results, err := n.client.PublishBatch(t.Context(), []pubsub.Draft{draft})
		if err != nil || !errors.Is(results[0].Err, pubsub.ErrKeyReused) {
			t.Errorf("got %+v, %v", results, err)
		}
	}, answer(http.StatusOK, "application/json", `{"results":[{"error":`+reused+`}]}`))
}

func TestPublishCancelled(t *testing.T) {
	stop := errors.New("stop")
	withNodes(t, func(t *testing.T, n *nodes) {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(10*time.Second, func() { cancel(stop) })
		_, err := n.client.Publish(ctx, pubsub.Draft{Channel: "news", Data: []byte("1")})
		if _, ok := errors.AsType[*ProblemError](err); !ok || !errors.Is(err, stop) {
			t.Errorf("got %v, want the cause and the problem", err)
		}
	}, unavailable("30"))
}

func TestPublishRefuses(t *testing.T) {
	withNodes(t, func(t *testing.T, n *nodes) {
		_, err := n.client.Publish(t.Context(), pubsub.Draft{Channel: "{}", Data: []byte("1")})
		if _, ok := errors.AsType[*pubsub.InvalidError](err); !ok {
			t.Errorf("got %v", err)
		}
		_, err = n.client.Publish(t.Context(), pubsub.Draft{Channel: "news", Data: []byte("1")})
		if !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("got %v", err)
		}
	}, created(`<html>`))
}

func TestPublishBatch(t *testing.T) {
	var body string
	withNodes(t, func(t *testing.T, n *nodes) {
		got, err := n.client.PublishBatch(t.Context(), []pubsub.Draft{
			{Channel: "a", Data: []byte("{\n\"x\": \"<\"}"), Key: "k1"},
			{Channel: "b", Data: []byte("2"), Type: "t", Key: "k2"},
		})
		if err != nil || len(got) != 2 || got[0] != (Result{Receipt: Receipt{pubsub.ID{MS: 7}, "a", true}}) {
			t.Fatalf("got %+v, %v", got, err)
		}
		if problem, ok := errors.AsType[*ProblemError](got[1].Err); !ok || problem.Status != 429 || problem.Detail != "Later." {
			t.Errorf("got %+v", got[1])
		}
		want := `{"channel":"a","data":{"x":"<"},"key":"k1"}` + "\n" + `{"channel":"b","type":"t","data":2,"key":"k2"}` + "\n"
		if r := n.requests()[0]; r.RequestURI != "/v1/publish" || r.Header.Get("Content-Type") != "application/x-ndjson" || body != want {
			t.Errorf("got %s, %s", r.RequestURI, body)
		}
	}, reading(&body, ok(`{"results":[{"id":"7-0","channel":"a","duplicate":true},{"error":{"status":429,"detail":"Later."}}]}`)))
}

func TestPublishBatchTries(t *testing.T) {
	var first, second string
	withNodes(t, func(t *testing.T, n *nodes) {
		if _, err := n.client.PublishBatch(t.Context(), []pubsub.Draft{{Channel: "a", Data: []byte("1")}}); err != nil {
			t.Error(err)
		}
		if first != second || !strings.Contains(first, `"key":"`) {
			t.Errorf("first %s, then %s", first, second)
		}
		_, err := n.client.PublishBatch(t.Context(), []pubsub.Draft{{Channel: "a", Data: []byte("1")}, {Channel: "a", Data: []byte("1"), Ephemeral: true}})
		if err == nil {
			t.Error("a batch with an ephemeral message was tried again")
		}
	}, reading(&first, unavailable("")), reading(&second, ok(`{"results":[{"id":"7-0"}]}`)), cut)
}

func TestPublishBatchRefuses(t *testing.T) {
	withNodes(t, func(t *testing.T, n *nodes) {
		if got, err := n.client.PublishBatch(t.Context(), nil); got != nil || err != nil {
			t.Errorf("nothing: got %v, %v", got, err)
		}
		if _, err := n.client.PublishBatch(t.Context(), []pubsub.Draft{{Channel: "a", Data: []byte("{")}}); !errors.Is(err, pubsub.ErrNotJSON) {
			t.Errorf("bad data: %v", err)
		}
		for range 2 {
			if _, err := n.client.PublishBatch(t.Context(), []pubsub.Draft{{Channel: "a", Data: []byte("1")}}); !errors.Is(err, wire.ErrMalformed) {
				t.Errorf("bad answer: %v", err)
			}
		}
	}, ok(`{"results":[]}`), ok(`{"results":[{"id":"x"}]}`))
}
