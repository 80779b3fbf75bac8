package gateway_test

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"comet/gateway"
	"comet/gateway/conn"
	"comet/gateway/wire"
)

// Paging until there is no more meets each message once, both ways.
func TestHistoryPaging(t *testing.T) {
	const total = 25
	var up, down []string
	for i := range total {
		up = append(up, fmt.Sprint(i))
	}
	down = slices.Clone(up)
	slices.Reverse(down)
	newest := func(h *wire.History) string { return h.Messages[len(h.Messages)-1].ID.String() }
	oldest := func(h *wire.History) string { return h.Messages[0].ID.String() }
	tests := []struct {
		name, first, next string
		edge              func(*wire.History) string // where the next page begins
		reversed          bool                       // each page against the direction of the paging
		want              []string
	}{
		{"from the oldest", "", "after=", newest, false, up},
		{"from the oldest, said so", "order=asc&", "order=asc&after=", newest, false, up},
		{"from the newest", "order=desc&", "order=desc&before=", newest, false, down},
		{"from the newest, oldest first", "order=desc&", "before=", oldest, true, down},
		{"from the oldest, newest first", "order=asc&", "order=desc&after=", oldest, true, up},
	}
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		c.publishNumbers("c", 0, total-1)
		for _, test := range tests {
			for _, limit := range []int{1, 7, 24, 25, 1000} {
				h := c.history("c", fmt.Sprintf("%slimit=%d", test.first, limit))
				all := datas(h.Messages)
				edge := newest(h) // the first page is in the direction of the paging
				for pages := 1; h.More; pages++ {
					if len(h.Messages) != limit || pages > total {
						t.Fatalf("%s: a page of %d has %d, and more", test.name, limit, len(h.Messages))
					}
					h = c.history("c", fmt.Sprintf("%s%s&limit=%d", test.next, edge, limit))
					page := datas(h.Messages)
					if test.reversed {
						slices.Reverse(page)
					}
					all = append(all, page...)
					edge = test.edge(h)
				}
				if !slices.Equal(all, test.want) {
					t.Errorf("%s by %d: got %q", test.name, limit, all)
				}
			}
		}
	})
}

func TestHistoryBounds(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		ids := c.publishNumbers("c", 0, 4)
		tests := []struct {
			query string
			want  []string
		}{
			{"", []string{"0", "1", "2", "3", "4"}},
			{"after=" + ids[2], []string{"3", "4"}},
			{"after=" + ids[4], nil},
			{"after=0-0&limit=2", []string{"0", "1"}},
			{"before=" + ids[2], []string{"0", "1"}},
			{"before=" + ids[3] + "&limit=2", []string{"1", "2"}},
			{"before=" + ids[3] + "&limit=2&order=desc", []string{"2", "1"}},
			{"before=" + ids[0], nil},
			{"order=desc&limit=2", []string{"4", "3"}},
			{"order=desc&after=" + ids[1] + "&limit=2", []string{"3", "2"}},
		}
		for _, test := range tests {
			if got := datas(c.history("c", test.query).Messages); !slices.Equal(got, test.want) {
				t.Errorf("%q: got %q, want %q", test.query, got, test.want)
			}
		}
		if h := c.history("empty", ""); len(h.Messages) > 0 || h.More {
			t.Errorf("an empty channel: %+v", h)
		}
	})
}

// A client that resumes from the log while all turns are taken waits, and is asked
// to come back; one that needs no log is not held up, and a turn is free again when
// its client has all, or has gone.
func TestReplaysTakeTurns(t *testing.T) {
	t.Parallel()
	replays := conn.NewReplays(1) // one turn
	c := overMemory(t, setup{gateway: gateway.Options{Replays: replays}, sendBuffer: 4 << 10})
	n := c.nodes[0]
	for range 100 {
		c.publish("c", `"`+strings.Repeat("x", 50_000)+`"`)
	}
	stalled := dial(t, n)
	stalled.write(t, "GET /v1/events?channel=c&cursor=earliest HTTP/1.1\r\nHost: h\r\n\r\n")
	for late := time.Now().Add(patience); replays.Stats().Running != 1; {
		if time.Now().After(late) {
			t.Fatal("no replay")
		}
	}
	openRaw(t, n, "/v1/events?channel=c", "").await(t, "comet.ready") // needs no log
	resumes := func() string {
		v := dial(t, n)
		v.write(t, "GET /v1/poll?channel=c&cursor=earliest&wait=0 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		all, err := io.ReadAll(v.r)
		if err != nil {
			t.Error(err)
		}
		return string(all)
	}
	// The first one has stalled for long enough after 3 s, and is ended for this one.
	if got := resumes(); !strings.HasPrefix(got, "HTTP/1.1 200 ") || len(got) > 200_000 {
		t.Errorf("after one had stalled: %.300q, %d bytes", got, len(got))
	}
	all, err := io.ReadAll(stalled.r)
	if err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("the stalled one read %v", err)
	}
	if len(all) == 0 {
		t.Error("the stalled one got nothing")
	}
	if got := replays.Stats(); got.Running != 0 || got.Waiting != 0 {
		t.Errorf("at the end %+v", got)
	}

	_, busy, err := replays.Begin(t.Context(), netip.MustParseAddr("192.0.2.1"))
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() { // it gets on
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				busy.Progress()
			}
		}
	}()
	got := resumes()
	if !strings.HasPrefix(got, "HTTP/1.1 503 ") || !strings.Contains(got, "too-many-replays") || !strings.Contains(got, "\r\nRetry-After: ") || !strings.Contains(got, "limits.replay_memory") {
		t.Errorf("when all turns are taken: %.300q", got)
	}
	close(stop)
	<-done
	busy.End()
	if held := n.gateway.Connections(); held != 1 {
		t.Errorf("%d streams and polls count, want the one that is live", held)
	}
}

// Polls in turn get all of a log whose messages do not fit into one answer.
func TestPollsOfLargeMessages(t *testing.T) {
	t.Parallel()
	c := overMemory(t, setup{})
	const messages = 20
	for i := range messages {
		c.publish("c", fmt.Sprintf(`"%d %s"`, i, strings.Repeat("x", 50_000)))
	}
	query, got := "channel=c&wait=0&cursor=earliest", 0
	for range messages {
		p := c.poll(query)
		size := 0
		for _, m := range p.Messages {
			if want := fmt.Sprintf(`"%d x`, got); !strings.HasPrefix(string(m.Data), want) {
				t.Fatalf("message %d is %.20s", got, m.Data)
			}
			got++
			size += len(m.Data)
		}
		if size > 200_000 {
			t.Errorf("an answer has %d bytes of data", size)
		}
		if got == messages {
			return
		}
		query = "channel=c&wait=0&cursor=" + p.Cursor
	}
	t.Errorf("got %d of %d messages", got, messages)
}

// A page of history takes turns with streams that read the log, and is shorter
// where there are fewer.
func TestHistoryTakesTurns(t *testing.T) {
	t.Parallel()
	const messages, page = 100, "/v1/channels/c/messages?limit=1000"
	for turns, most := range map[int64]int{1: 128 << 10, 16: 4 * (128 << 10), 1000: 4 << 20} { // an address has a quarter
		replays := conn.NewReplays(turns * 256 << 10)
		c := overMemory(t, setup{gateway: gateway.Options{Replays: replays}})
		for range messages {
			c.publish("c", `"`+strings.Repeat("x", 50_000)+`"`)
		}
		var held []*conn.Replay
		for i := byte(1); len(held) < int(min(turns, 4)); i++ {
			_, one, err := replays.Begin(t.Context(), netip.AddrFrom4([4]byte{10, 0, i, 0}))
			if err != nil {
				t.Fatal(err)
			}
			for held = append(held, one); one.Grow(); {
			}
		}
		answered := make(chan answer, 1)
		go func() { answered <- c.send(get(page)) }()
		for late := time.Now().Add(patience); replays.Stats().Waiting != 1; {
			if time.Now().After(late) {
				t.Fatal("the page does not wait for its turn")
			}
		}
		res, err := c.http.Get(operators(t, c.nodes[0]) + page)
		if err != nil {
			t.Fatal(err)
		}
		all, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || len(all) < 4_000_000 {
			t.Errorf("an operator got %d bytes, %v, want all that history has", len(all), err)
		}
		for _, one := range held {
			one.End()
		}
		a := <-answered
		if want := most / 50_000 * 50_000; a.status != 200 || len(a.body) < want || len(a.body) > most+20_000 || !strings.HasSuffix(a.body, `"more":true}`+"\n") {
			t.Errorf("%d turns: got %d with %d bytes, want %d to %d and more", turns, a.status, len(a.body), want, most)
		}
		for late := time.Now().Add(patience); replays.Stats() != (conn.ReplayStats{Turns: int(turns)}); {
			if time.Now().After(late) {
				t.Fatalf("at the end %+v", replays.Stats())
			}
		}
	}
}
