package gateway_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"comet/gateway"
	"comet/gateway/wire"
	"comet/pubsub"
	"comet/pubsub/membroker"
)

// What is there is answered at once, wherever the poll goes.
func TestPollAtOnce(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		ids := c.publishNumbers("c", 0, 4)
		for query, want := range map[string][]string{
			"cursor=" + ids[1]: {"2", "3", "4"},
			"cursor=earliest":  {"0", "1", "2", "3", "4"},
			"last=2":           {"3", "4"},
		} {
			for _, wait := range []string{"", "&wait=0", "&wait=20s", "&wait=55"} {
				p := c.poll("channel=c&" + query + wait)
				if !slices.Equal(datas(p.Messages), want) || p.Cursor != ids[4] || len(p.Gaps) > 0 {
					t.Errorf("%s%s: got %q, cursor %s, gaps %v", query, wait, datas(p.Messages), p.Cursor, p.Gaps)
				}
			}
		}
	})
}

// A poll without a cursor gives one, from which the next misses nothing.
func TestPollInARow(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		for query, channels := range map[string][]string{"channel=c": {"c"}, "channel=c&channel=d": {"c", "d"}} {
			p := c.poll(query + "&wait=0")
			if len(p.Messages)+len(p.Gaps) > 0 {
				t.Fatalf("got %+v", p)
			}
			for i := range 5 {
				empty := c.poll(query + "&wait=0&cursor=" + p.Cursor)
				if len(empty.Messages) > 0 || !slices.Equal(last(t, channels, empty.Cursor), last(t, channels, p.Cursor)) {
					t.Errorf("got %q; cursor %s, was %s", datas(empty.Messages), empty.Cursor, p.Cursor)
				}
				c.publish("c", fmt.Sprint(2*i))
				c.publish("c", fmt.Sprint(2*i+1))
				var got []string
				for len(got) < 2 {
					p = c.poll(query + "&cursor=" + p.Cursor)
					got = append(got, datas(p.Messages)...)
				}
				if !slices.Equal(got, []string{fmt.Sprint(2 * i), fmt.Sprint(2*i + 1)}) {
					t.Errorf("%s: got %q", query, got)
				}
			}
		}
	})
}

// More than one answer holds comes with the next ones.
func TestPollMuch(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		drafts := make([]byte, 0, 1<<20)
		for i := range 1000 {
			drafts = fmt.Appendf(drafts, "{\"channel\":\"c\",\"data\":%d}\n", i)
		}
		c.batch(asLines, string(drafts))
		c.batch(asLines, string(drafts))
		cursor, got := "0-0", 0
		for got < 2000 {
			p := c.poll("channel=c&cursor=" + cursor)
			for _, m := range p.Messages {
				if string(m.Data) != fmt.Sprint(got%1000) {
					t.Fatalf("message %d is %s", got, m.Data)
				}
				got++
			}
			cursor = p.Cursor
		}
	})
}

func TestPollGap(t *testing.T) {
	overEach(t, setup{size: 10}, func(t *testing.T, c *cluster) {
		ids := c.publishNumbers("c", 0, 299) // Redis trims in blocks
		p := c.poll("channel=c&cursor=" + ids[3])
		if len(p.Gaps) != 1 || p.Gaps[0].Reason != pubsub.Trimmed || p.Gaps[0].From.String() != ids[3] {
			t.Fatalf("gaps %+v", p.Gaps)
		}
		for p.Cursor != ids[299] {
			next := c.poll("channel=c&cursor=" + p.Cursor)
			p.Messages, p.Cursor = append(p.Messages, next.Messages...), next.Cursor
			if len(next.Gaps) > 0 {
				t.Errorf("told again: %+v", next.Gaps)
			}
		}
		if want := numbersBehind(ids, p.Gaps[0].To.String()); !slices.Equal(datas(p.Messages), want) {
			t.Errorf("got %q, want %q", datas(p.Messages), want)
		}
	})
}

// bubble is a gateway in the memory time of a synctest bubble.
func bubble(t *testing.T, test func(t *testing.T, g *gateway.Gateway, hub *pubsub.Hub)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := membroker.New(membroker.Options{Size: 100, TTL: time.Hour, KeyWindow: time.Minute}).Node()
		hub := pubsub.NewHub(b, pubsub.Options{})
		g, err := gateway.New(gateway.Options{Hub: hub, Node: "n"})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			hub.Close()
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		}()
		test(t, g, hub)
	})
}

// polled is the answer to a poll, and how long it took.
func polled(t *testing.T, g *gateway.Gateway, query string) (*wire.Poll, time.Duration) {
	t.Helper()
	start := time.Now()
	w := httptest.NewRecorder()
	g.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/poll?channel=c"+query, nil))
	return parsePoll(t, answer{w.Code, w.Header(), w.Body.String()}), time.Since(start)
}

// An empty answer comes after the wait, no sooner, and keeps the cursor.
func TestPollWait(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]time.Duration{
		"":             25 * time.Second,
		"&wait=":       25 * time.Second,
		"&wait=0":      0,
		"&wait=0s":     0,
		"&wait=7":      7 * time.Second,
		"&wait=1500ms": 1500 * time.Millisecond,
		"&wait=55s":    55 * time.Second,
	} {
		bubble(t, func(t *testing.T, g *gateway.Gateway, hub *pubsub.Hub) {
			p, took := polled(t, g, "&cursor=0-0"+query)
			if took != want || len(p.Messages)+len(p.Gaps) > 0 || p.Cursor != "0-0" {
				t.Errorf("%q: %+v after %v, want nothing after %v", query, p, took, want)
			}
		})
	}
}

// A poll that waits is answered with the first message, kept or not.
func TestPollAnswered(t *testing.T) {
	t.Parallel()
	for _, ephemeral := range []bool{false, true} {
		bubble(t, func(t *testing.T, g *gateway.Gateway, hub *pubsub.Hub) {
			time.AfterFunc(3*time.Second, func() {
				hub.Publish(t.Context(), []pubsub.Draft{{Channel: "c", Data: []byte("1"), Ephemeral: ephemeral}})
			})
			p, took := polled(t, g, "")
			if took != 3*time.Second || len(p.Messages) != 1 || p.Messages[0].Ephemeral() != ephemeral {
				t.Fatalf("%+v after %v", p, took)
			}
			want := p.Messages[0].ID // zero if ephemeral: nothing moved
			if at := last(t, []string{"c"}, p.Cursor)[0]; at != want {
				t.Errorf("cursor %s is behind %v, want %v", p.Cursor, at, want)
			}
		})
	}
}

// last is the newest message before a cursor, in each of its channels.
func last(t *testing.T, channels []string, cursor string) []pubsub.ID {
	t.Helper()
	at, err := pubsub.ParseCursorSet(channels, cursor)
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]pubsub.ID, len(at))
	for i := range at {
		ids[i] = at[i].Last()
	}
	return ids
}

// A node that leaves answers its polls.
func TestPollLeave(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, g *gateway.Gateway, hub *pubsub.Hub) {
		time.AfterFunc(3*time.Second, func() { g.Drain(0) })
		if p, took := polled(t, g, ""); took != 3*time.Second || len(p.Messages) > 0 || p.Cursor == "" {
			t.Errorf("%+v after %v", p, took)
		}
	})
}
