package client

import (
	"net/http"
	"testing"
	"time"

	"comet/pubsub"
)

func TestPollResumes(t *testing.T) {
	half := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.Write([]byte(`{"cursor":"3-0","messages":[`))
		panic(http.ErrAbortHandler)
	}
	held := func(w http.ResponseWriter, r *http.Request) {
		sleep(r.Context(), 25*time.Second)
		polled(1, nil)(w, r)
	}
	withNodes(t, func(t *testing.T, n *nodes) {
		got, err := take(t.Context(), n.client, SubscribeOptions{Poll: true}, 8)
		checkTaken(t, got, err, "ready @1-0", "message 2 @1-0", "message 3 @3-0", "ready @3-0", "gap @3-0", "message 9 @9-0", "ready @9-0", "message 10 @10-0")
		want := []struct{ host, query string }{
			{"node-1", "channel=news&wait=0s"}, // a cursor first, so that no message is missed
			{"node-1", "channel=news&cursor=1-0&wait=25s"},
			{"node-1", "channel=news&cursor=1-0&wait=25s"},
			{"node-1", "channel=news&cursor=3-0&wait=25s"},
			{"node-2", "channel=news&cursor=3-0&wait=25s"},
			{"node-2", "channel=news&cursor=9-0&wait=25s"},
			{"node-1", "channel=news&cursor=9-0&wait=25s"},
		}
		for i, want := range want {
			if r := n.requests()[i]; r.Host != want.host || r.URL.Path != "/v1/poll" || r.URL.RawQuery != want.query {
				t.Errorf("request %d: %s %s", i, r.Host, r.URL)
			}
		}
	},
		polled(1, nil),
		held,
		polled(3, nil, 2, 3),
		half,
		polled(9, []*pubsub.Gap{testGap}, 9),
		cut,
		polled(10, nil, 10),
	)
}

// TestPollPauses checks that a client does not poll in a busy loop when the node holds no polls.
func TestPollPauses(t *testing.T) {
	withNodes(t, func(t *testing.T, n *nodes) {
		got, err := take(t.Context(), n.client, SubscribeOptions{Poll: true, Cursor: "1-0"}, 6)
		checkTaken(t, got, err, "ready @1-0", "ready @1-0", "ready @1-0", "ready @1-0", "ready @1-0", "message 2 @2-0")
		if took := time.Since(n.start); took < 1800*time.Millisecond || took > 4*time.Second {
			t.Errorf("four pauses took %v", took)
		}
	}, append(repeat(polled(1, nil), 4), polled(2, nil, 2))...)
}

func TestPollIdle(t *testing.T) {
	withNodes(t, func(t *testing.T, n *nodes) {
		got, err := take(t.Context(), n.client, SubscribeOptions{Poll: true, Cursor: "1-0", Wait: time.Minute, Idle: 10 * time.Second}, 2)
		checkTaken(t, got, err, "ready @1-0", "message 2 @2-0")
		if wait := n.requests()[1].after; wait < 70*time.Second || wait > 71*time.Second {
			t.Errorf("came back after %v", wait)
		}
	}, frozen, polled(2, nil, 2))
}
