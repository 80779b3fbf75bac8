package client

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"testing"
	"time"

	"comet/gateway/wire"
	"comet/pubsub"
)

// take returns the first n events and the error that ended them.
func take(ctx context.Context, c *Client, o SubscribeOptions, n int) (events []string, err error) {
	if o.Channels == nil {
		o.Channels = []string{"news"}
	}
	for e, err := range c.Subscribe(ctx, o) {
		if err != nil {
			return events, err
		}
		if events = append(events, taken(e)); len(events) == n {
			break
		}
	}
	return events, nil
}

func checkTaken(t *testing.T, got []string, err error, want ...string) {
	t.Helper()
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func TestSubscribeResumes(t *testing.T) {
	second := sent(2)
	withNodes(t, func(t *testing.T, n *nodes) {
		got, err := take(t.Context(), n.client, SubscribeOptions{Channels: []string{"news", "chat/é"}}, 8)
		checkTaken(t, got, err, "ready @0-0", "message 1 @1-0", "ready @1-0", "ready @1-0", "message 2 @2-0", "gap @9-0", "ready @9-0", "message 10 @10-0")
		for i, want := range []string{"", "1-0", "1-0", "1-0", "9-0"} {
			r := n.requests()[i]
			if r.URL.Path != "/v1/events" || r.FormValue("cursor") != want || !reflect.DeepEqual(r.Form["channel"], []string{"news", "chat/é"}) || r.Header.Get("Accept") != "text/event-stream" {
				t.Errorf("request %d: %s", i, r.URL)
			}
			if wantHost := [...]string{"node-1", "node-2"}[i%2]; r.Host != wantHost {
				t.Errorf("request %d went to %s", i, r.Host)
			}
		}
	},
		streaming(cut, ready(0), sent(1), second[:len(second)-1]), // in the last byte
		streaming(cut, ready(1), second[:len("id: 2-0\n")]),       // after the id
		cut, // before the header
		streaming(closing, ready(1), second, wire.SSE.AppendGap(nil, testGap, cursorAt(9), nil)),
		streaming(frozen, ready(9), sent(10)),
	)
}

var testGap = &pubsub.Gap{Channel: "news", From: pubsub.ID{MS: 2}, To: pubsub.ID{MS: 9}, Reason: pubsub.Trimmed}

func TestSubscribeBegins(t *testing.T) {
	tests := []struct {
		name  string
		o     SubscribeOptions
		query string
	}{
		{"now", SubscribeOptions{}, "channel=news"},
		{"at a cursor", SubscribeOptions{Cursor: "5-0"}, "channel=news&cursor=5-0"},
		{"earliest", SubscribeOptions{Cursor: Earliest}, "channel=news&cursor=earliest"},
		{"with the last", SubscribeOptions{Last: 3}, "channel=news&last=3"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.o.Channels = []string{"news"}
			begin := streaming(closing, ready(4))
			resume := streaming(frozen, ready(4))
			withNodes(t, func(t *testing.T, n *nodes) {
				got, err := take(t.Context(), n.client, test.o, 2)
				checkTaken(t, got, err, "ready @4-0", "ready @4-0")
				if n.requests()[0].URL.RawQuery != test.query || n.requests()[1].URL.RawQuery != "channel=news&cursor=4-0" {
					t.Errorf("got %s, then %s", n.requests()[0].URL, n.requests()[1].URL)
				}
			}, begin, resume)
		})
	}
}

func TestSubscribeWaits(t *testing.T) {
	bye := func(retry time.Duration) http.HandlerFunc {
		return streaming(frozen, ready(1), wire.SSE.AppendBye(nil, "drain", retry))
	}
	tests := []struct {
		name     string
		step     http.HandlerFunc
		min, max time.Duration
	}{
		{"a closed stream", streaming(closing, ready(1)), 125 * time.Millisecond, 250 * time.Millisecond},
		{"bye", bye(0), 125 * time.Millisecond, 250 * time.Millisecond},
		{"bye with retry", bye(20 * time.Second), 20 * time.Second, 25 * time.Second},
		{"503", unavailable(""), 125 * time.Millisecond, 250 * time.Millisecond},
		{"503 with Retry-After", unavailable("8"), 8 * time.Second, 10 * time.Second},
		{"429", answer(429, "text/plain", "", "Retry-After", "8"), 8 * time.Second, 10 * time.Second},
		{"silence after ready", streaming(frozen, ready(1)), defaultIdle, defaultIdle + time.Second},
		{"silence", frozen, defaultIdle, defaultIdle + time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			withNodes(t, func(t *testing.T, n *nodes) {
				for e, err := range n.client.Subscribe(t.Context(), SubscribeOptions{Channels: []string{"news"}}) {
					if err != nil {
						t.Error(err)
					}
					if e.Kind == wire.KindMessage {
						break
					}
				}
				if wait := n.requests()[1].after; wait < test.min || wait > test.max {
					t.Errorf("came back after %v, want %v to %v", wait, test.min, test.max)
				}
			}, test.step, streaming(frozen, ready(1), sent(2)))
		})
	}
}

func TestSubscribeBacksOff(t *testing.T) {
	steps := append(repeat(cut, 9), streaming(closing, ready(1)), streaming(frozen, ready(1)))
	withNodes(t, func(t *testing.T, n *nodes) {
		got, err := take(t.Context(), n.client, SubscribeOptions{}, 2)
		checkTaken(t, got, err, "ready @1-0", "ready @1-0")
		longest := 250 * time.Millisecond
		for i := 1; i <= 9; i++ {
			if wait := n.requests()[i].after - n.requests()[i-1].after; wait < longest/2 || wait > longest {
				t.Errorf("wait %d is %v, want %v to %v", i, wait, longest/2, longest)
			}
			longest = min(2*longest, 15*time.Second)
		}
		if wait := n.requests()[10].after - n.requests()[9].after; wait > 250*time.Millisecond {
			t.Errorf("%v after a success", wait)
		}
	}, steps...)
}

// TestSubscribeStaysOnHeartbeats checks that heartbeats, or a busy caller, keep a stream open.
func TestSubscribeStaysOnHeartbeats(t *testing.T) {
	beating := func(w http.ResponseWriter, r *http.Request) {
		for range 20 {
			sleep(r.Context(), 55*time.Second)
			w.Write(wire.SSE.AppendHeartbeat(nil))
			w.(http.Flusher).Flush()
		}
		w.Write(sent(2))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	withNodes(t, func(t *testing.T, n *nodes) {
		for e, err := range n.client.Subscribe(t.Context(), SubscribeOptions{Channels: []string{"news"}}) {
			if err != nil {
				t.Error(err)
			}
			sleep(t.Context(), 5*time.Minute)
			if e.Kind == wire.KindMessage {
				break
			}
		}
	}, streaming(beating, ready(1)))
}

func TestSubscribeErrors(t *testing.T) {
	problem := answer(http.StatusBadRequest, "application/problem+json", `{"type":"urn:cursor","title":"Bad cursor","status":400}`)
	isProblem := func(err error) bool {
		p, ok := errors.AsType[*ProblemError](err)
		return ok && p.Status == 400 && p.Type == "urn:cursor"
	}
	isMalformed := func(err error) bool { return errors.Is(err, wire.ErrMalformed) }
	isInvalid := func(err error) bool { _, ok := errors.AsType[*pubsub.InvalidError](err); return ok }
	tests := []struct {
		name  string
		o     SubscribeOptions
		steps []http.HandlerFunc
		is    func(error) bool
	}{
		{"wrong request", SubscribeOptions{}, []http.HandlerFunc{cut, problem}, isProblem},
		{"wrong poll", SubscribeOptions{Poll: true}, []http.HandlerFunc{cut, problem}, isProblem},
		{"another server", SubscribeOptions{}, []http.HandlerFunc{ok("{}")}, isMalformed},
		{"another poll server", SubscribeOptions{Poll: true}, []http.HandlerFunc{ok("{}")}, isMalformed},
		{"no message", SubscribeOptions{}, []http.HandlerFunc{streaming(frozen, []byte("data: {}\n\n"))}, isMalformed},
		{"no channel", SubscribeOptions{Channels: []string{}}, nil, isInvalid},
		{"bad channel", SubscribeOptions{Channels: []string{"{"}}, nil, isInvalid},
		{"last and cursor", SubscribeOptions{Last: 1, Cursor: "1-0"}, nil, isInvalid},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			withNodes(t, func(t *testing.T, n *nodes) {
				if got, err := take(t.Context(), n.client, test.o, 1); !test.is(err) {
					t.Errorf("got %q, %v", got, err)
				}
			}, test.steps...)
		})
	}
}

func TestSubscribeEnds(t *testing.T) {
	stop := errors.New("stop")
	steps := map[string]http.HandlerFunc{"in a stream": streaming(frozen, ready(1)), "in a poll": frozen, "in a pause": unavailable("60")}
	for name, step := range steps {
		t.Run("by the context "+name, func(t *testing.T) {
			withNodes(t, func(t *testing.T, n *nodes) {
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(10*time.Second, func() { cancel(stop) })
				_, err := take(ctx, n.client, SubscribeOptions{Poll: name == "in a poll"}, 99)
				if !errors.Is(err, stop) || time.Since(n.start) != 10*time.Second {
					t.Errorf("got %v after %v", err, time.Since(n.start))
				}
			}, step)
		})
	}
	t.Run("by the caller", func(t *testing.T) {
		withNodes(t, func(t *testing.T, n *nodes) {
			got, err := take(t.Context(), n.client, SubscribeOptions{}, 1)
			checkTaken(t, got, err, "ready @1-0")
			<-n.requests()[0].done
		}, streaming(frozen, ready(1)))
	})
}
