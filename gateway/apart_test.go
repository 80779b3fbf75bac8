package gateway_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"comet/gateway/wire"
	"comet/pubsub"
)

// ownCursors is what the next block of a stream, a control event, says of
// channels' own cursors.
func (s *stream) ownCursors() map[string]string {
	s.t.Helper()
	block := s.block()
	_, data, _ := strings.Cut(block, "data: ")
	return decode[struct{ Cursors map[string]string }](s.t, data).Cursors
}

// Who comes with a cursor for each channel begins each where it says, and is
// told each channel's own. #n is the ID of message n of the channel.
func TestCursorsApart(t *testing.T) {
	tests := []struct {
		name, query string
		first       map[string]int // message of the channel; 5 is the next one
	}{
		{"each its own", "channel=a&cursor=#a1&channel=b&cursor=#b3", map[string]int{"a": 2, "b": 4}},
		{"as the channels come", "channel=b&channel=a&cursor=#b3&cursor=#a1", map[string]int{"a": 2, "b": 4}},
		{"the oldest, and now", "channel=a&channel=b&cursor=earliest&cursor=", map[string]int{"a": 0, "b": 5}},
		{"the last, and a cursor", "channel=a&channel=b&cursor=&cursor=#b2&last=2", map[string]int{"a": 3, "b": 3}},
		{"last for each", "channel=a&channel=b&cursor=&cursor=&last=2&last=0", map[string]int{"a": 3, "b": 5}},
		{"last for each, and a cursor", "channel=b&channel=a&cursor=#b0&cursor=&last=&last=1", map[string]int{"a": 4, "b": 1}},
	}
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		ids := map[string][]string{"a": c.publishNumbers("a", 0, 4), "b": c.publishNumbers("b", 0, 4)}
		var replace []string
		for channel, all := range ids {
			for n, id := range all {
				replace = append(replace, fmt.Sprint("#", channel, n), id)
			}
		}
		for _, test := range tests {
			query := strings.NewReplacer(replace...).Replace(test.query)
			s := c.open(query)
			own := s.ownCursors()
			if len(own) != 2 {
				t.Fatalf("%s: ready has cursors %v", test.name, own)
			}
			s.wantBehind(test.name, ids, test.first)
			s.leave()

			// Each own cursor resumes its channel alone, as does a poll's.
			p := c.poll(query + "&wait=0")
			polled := decode[map[string]string](t, string(p.Cursors))
			for channel, at := range own {
				var want []string
				for n := test.first[channel]; n < 5; n++ {
					want = append(want, fmt.Sprint(n))
				}
				alone := c.poll("channel=" + channel + "&wait=0&cursor=" + at)
				if got := datas(alone.Messages); !slices.Equal(got, want) {
					t.Errorf("%s: behind %s's own cursor is %q, want %q", test.name, channel, got, want)
				}
				if len(want) > 0 && polled[channel] != ids[channel][4] {
					t.Errorf("%s: the poll's cursor of %s is %s, want %s", test.name, channel, polled[channel], ids[channel][4])
				}
			}
		}
	})
}

// wantBehind waits for all messages from first on, of each channel in order.
func (s *stream) wantBehind(name string, ids map[string][]string, first map[string]int) {
	s.t.Helper()
	next := maps.Clone(first)
	for next["a"] < len(ids["a"]) || next["b"] < len(ids["b"]) {
		m := s.next().Message
		if m == nil || next[m.Channel] >= len(ids[m.Channel]) || m.ID.String() != ids[m.Channel][next[m.Channel]] {
			s.t.Fatalf("%s: got %+v, expected %v", name, m, next)
		}
		next[m.Channel]++
	}
}

// A gap of one channel tells the channel's own cursor behind it, on every way,
// and whoever resumes there is not told again.
func TestGapApart(t *testing.T) {
	t.Parallel()
	c := overMemory(t, setup{size: 100, tail: pubsub.TailLimits{Messages: 10}})
	first := c.publish("a", "0")
	c.publishNumbers("a", 1, 400)
	query := "channel=a&cursor=" + first + "&channel=b&cursor="
	s := c.open(query)
	s.ownCursors()
	own := s.ownCursors()
	if len(own) != 1 || own["a"] == "" {
		t.Fatalf("the gap has cursors %v", own)
	}
	again := c.open("channel=b&cursor=&channel=a&cursor=" + own["a"])
	again.want("ready")
	if e := again.next(); e.Kind != wire.KindMessage {
		t.Errorf("resumed behind the gap: got %s", tell(e))
	}
	p := c.poll(query + "&wait=0")
	if len(p.Gaps) != 1 || len(p.Cursors) == 0 {
		t.Errorf("the poll has gaps %v, cursors %s", p.Gaps, p.Cursors)
	}
}

// Streams and polls of the short way, which join open channels, tell the same.
func TestApartAtTheDoor(t *testing.T) {
	t.Parallel()
	c := overMemory(t, setup{heartbeat: time.Second})
	query := "channel=a&channel=b&cursor=&cursor="
	open := c.open(query)
	want := open.ownCursors()
	if got := c.open(query).ownCursors(); !maps.Equal(got, want) {
		t.Errorf("ready has %v, the first had %v", got, want)
	}
	values := fmt.Sprintf("channel=a&cursor=%s&channel=b&cursor=%s&wait=20s", want["a"], want["b"])
	answered := make(chan answer, 1)
	go func() { answered <- c.sendTo(c.nodes[0], get("/v1/poll?"+values)) }()
	id := c.publish("b", "1")
	p := parsePoll(t, <-answered)
	if got := decode[map[string]string](t, string(p.Cursors)); got["a"] != want["a"] || got["b"] != id {
		t.Errorf("the poll has %v, want b at %s", got, id)
	}
	// One cursor for all: nothing is told that was not asked for.
	if ready := c.open("channel=a&channel=b").block(); strings.Contains(ready, "cursors") {
		t.Errorf("got %s", ready)
	}
}

// What is refused for one channel of several names it.
func TestProblemsNameChannels(t *testing.T) {
	t.Parallel()
	c := overMemory(t, setup{gateway: anonymously([]string{"open/*"}, nil)})
	for _, test := range []struct {
		query  string
		status int
		about  []string
	}{
		{"channel=open/1&channel=shut&channel=open/2", http.StatusForbidden, []string{"shut"}},
		{"channel=open/1&channel=comet.x", http.StatusForbidden, []string{"comet.x"}},
		{"channel=open/1&channel=%7B", http.StatusBadRequest, []string{"{"}},
		{"channel=open/1&cursor=0-0&channel=open/2&cursor=x", http.StatusBadRequest, []string{"open/2"}},
		{"channel=open/1&cursor=0-0&channel=open/1&cursor=1-0", http.StatusBadRequest, nil},
		{"channel=open/1&channel=open/2&channel=open/3&cursor=&cursor=", http.StatusBadRequest, nil},
		{"channel=open/1&channel=open/2&cursor=&cursor=&last=1&last=x", http.StatusBadRequest, nil},
		{"channel=open/1&channel=open/2&last=1&last=1001", http.StatusBadRequest, nil},
		{"channel=open/1&channel=open/2&cursor=AAAA", http.StatusBadRequest, nil},
	} {
		a := c.send(get("/v1/events?" + test.query))
		var p struct{ Channels []string }
		if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.status != test.status || !slices.Equal(p.Channels, test.about) {
			t.Errorf("%s: %d %s", test.query, a.status, a.body)
		}
	}
}
