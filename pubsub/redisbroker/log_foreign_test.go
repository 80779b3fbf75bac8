package redisbroker_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"comet/pubsub"
	"comet/pubsub/redisbroker"
	"comet/pubsub/redistest"
)

// syncBuffer is a buffer that is read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// foreignEntries are entries that another program may append to a log, each an ID and
// fields. own is the ID of the message before it.
var foreignEntries = map[string]func(own pubsub.ID) []any{
	"of other fields": func(pubsub.ID) []any { return []any{"*", "foo", "bar"} },
	"without data":    func(own pubsub.ID) []any { return []any{next(own), "prev", own, "type", "x"} },
	"a forged gap":    func(own pubsub.ID) []any { return []any{next(own), "prev", own, "type", "comet.gap", "data", "{}"} },
	"a forged line":   func(own pubsub.ID) []any { return []any{next(own), "prev", own, "type", "x\rid: 6", "data", "1"} },
	"no JSON":         func(own pubsub.ID) []any { return []any{next(own), "prev", own, "type", "x", "data", "1\n\nid: 6"} },
	"two values":      func(own pubsub.ID) []any { return []any{next(own), "prev", own, "type", "x", "data", "1 2"} },
	"of no generation": func(own pubsub.ID) []any {
		return []any{fmt.Sprintf("%d-0", own.MS+1), "prev", own, "type", "x", "data", "1"}
	},
	"no predecessor": func(own pubsub.ID) []any { return []any{next(own), "prev", "x", "type", "x", "data", "1"} },
	"before itself":  func(own pubsub.ID) []any { return []any{next(own), "prev", next(next(own)), "type", "x", "data", "1"} },
	"a bad trace": func(own pubsub.ID) []any {
		return []any{next(own), "prev", own, "type", "x", "data", "1", "trace", "a\nb"}
	},
	"of a later version": func(own pubsub.ID) []any {
		return []any{next(own), "prev", own, "type", "x", "data", "1", "meta", `{"v":3}`}
	},
	"a bad sender": func(own pubsub.ID) []any {
		return []any{next(own), "prev", own, "type", "x", "data", "1", "meta", `{"v":2,"from":"a\nb"}`}
	},
	"of a distant future": func(own pubsub.ID) []any { return []any{"4000000000000-5", "foo", "bar"} },
	"of a large sequence": func(own pubsub.ID) []any { return []any{fmt.Sprintf("%d-99999999999", own.MS), "foo", "bar"} },
}

func next(id pubsub.ID) pubsub.ID {
	return pubsub.ID{MS: id.MS, Counter: id.Counter + 1, Epoch: id.Epoch}
}

// An entry that another program appends to a log is reported as a gap to all subscribers,
// once, and the channel goes on after it.
func TestForeignEntry(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	c := newHarness(t, at(server.Addr()))
	for name, entry := range foreignEntries {
		t.Run(name, func(t *testing.T) {
			channel := strings.ReplaceAll(name, " ", "-")
			publish := func(data string) pubsub.ID {
				r := c.nodes[0].Publish(t.Context(), []pubsub.Draft{{Channel: channel, Data: []byte(data)}})[0]
				if r.Err != nil {
					t.Fatal(r.Err)
				}
				return r.ID
			}
			first := publish("1")
			begin := pubsub.Cursor{ID: first, Epoch: first.Epoch}
			stays := listenFrom(t, "connected subscriber", channel, begin, 0, c.nodes[0])
			args := []any{"XADD", "comet:{" + channel + "}:log"}
			for i, arg := range entry(first) {
				if i == 0 || i == 2 { // the ID, and prev
					arg = fmt.Sprint(arg)
				}
				args = append(args, arg)
			}
			server.Do(args...)
			last := publish("2")
			back := listenFrom(t, "resumed subscriber", channel, begin, 1, c.nodes...)
			for _, l := range []*listener{stays, back} {
				l.awaitID(last)
				if len(l.items) != 2 || l.items[0].Gap == nil || l.items[0].Gap.Reason != pubsub.Unreadable || l.items[1].Message == nil {
					t.Errorf("%s got %s", l.name, brief(l.items))
				}
			}
			afterwards := publish("3")
			for _, l := range []*listener{stays, back} {
				l.awaitID(afterwards)
				if len(l.items) != 3 {
					t.Errorf("%s got %s", l.name, brief(l.items))
				}
			}
			sub, err := c.nodes[1].Subscribe(t.Context(), []pubsub.Start{{Channel: channel, From: pubsub.From{Last: 3}}})
			if err != nil {
				t.Fatal(err)
			}
			defer sub.Close()
			got, err := sub.Next(t.Context(), 10)
			if err != nil || len(got) != 3 {
				t.Errorf("the newest three: %d, %v", len(got), err)
			}
		})
	}
	if n := c.brokers[0].Stats().Foreign[redisbroker.InLog]; n == 0 {
		t.Error("counted nowhere")
	}
}

// Entries after every ID of Comet's are removed by the next publish and are not reported,
// because no ID can follow theirs. The same holds if another program has deleted the
// newest entry, as Redis remembers its ID.
func TestForeignEntryLast(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	c := newHarness(t, at(server.Addr()))
	for channel, spoil := range map[string]func(log string){
		"later": func(log string) { server.Do("XADD", log, "9999999999999-1", "foo", "bar") },
		"last":  func(log string) { server.Do("XADD", log, "18446744073709551615-18446744073709551615", "foo", "bar") },
		"deleted": func(log string) {
			server.Do("XADD", log, "4000000000000-1", "foo", "bar")
			server.Do("XDEL", log, "4000000000000-1")
		},
		"alone": func(log string) {
			server.Do("DEL", log)
			server.Do("XADD", log, "9999999999999-1", "foo", "bar")
		},
	} {
		c.say(channel, channel) // with and without a key
		before := c.log(channel).End
		stays := listenFrom(t, "connected subscriber", channel, pubsub.CursorAfter(before), 0, c.nodes[0])
		spoil("comet:{" + channel + "}:log")
		c.say(channel, channel)
		last := c.log(channel).End
		back := listenFrom(t, "resumed subscriber", channel, pubsub.CursorAfter(before), 0, c.nodes[1])
		for _, l := range []*listener{stays, back} {
			l.awaitID(last)
			var want []pubsub.Reason
			if channel == "alone" {
				want = []pubsub.Reason{pubsub.Restarted} // its log was removed
			}
			var got []pubsub.Reason
			for _, gap := range gaps(l.items) {
				got = append(got, gap.Reason)
			}
			if !slices.Equal(got, want) || len(l.items) != 2+len(want) || last.MS > 4e12 {
				t.Errorf("%s: %s got %s, want 2 messages after gaps %v", channel, l.name, brief(l.items), want)
			}
		}
	}
}

func brief(items []pubsub.Item) (all []string) {
	for _, it := range items {
		if it.Gap != nil {
			all = append(all, fmt.Sprintf("gap %s to %v", it.Gap.Reason, it.Gap.To))
		} else {
			all = append(all, fmt.Sprintf("%v %s", it.Message.ID, it.Message.Data))
		}
	}
	return all
}

// A payload that another program relays reaches no subscriber and delays no message. It
// is logged once.
func TestForeignRelay(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	c := newHarness(t)
	log := new(syncBuffer)
	options := at(server.Addr())
	options.Size, options.TTL, options.KeyWindow = 1000, time.Hour, time.Minute
	options.Logger = slog.New(slog.NewTextHandler(log, nil))
	b := newBroker(t, options)
	t.Cleanup(func() { _ = b.Close() })
	hub := pubsub.NewHub(b, pubsub.Options{})
	t.Cleanup(hub.Close)
	c.nodes = append(c.nodes, hub)
	c.say("a")
	first := c.log("a").End
	l := listen(t, "connected subscriber", "a", 0, hub)
	future := fmt.Sprintf("4000000000000-%d", first.Epoch)
	for _, payload := range []string{
		"garbage", "", "\n", "- 1 comet.gap\n{}", "- 1 comet.bye\n{}", "- 1 comet.ready\n{}", "- 1 x\rid: 666\n1", "- 1 x\n1\n\nid: 666\n", "- 1 x\nno JSON",
		"- -9223372036854775808 x\n1", "- 9223372036854775807 x\n1", "~ a\rb - 1 x\n1", "~ - 1 comet.gap\n{}",
		future + " " + first.String() + " x\n1", future + " 0-0 x\n1", "! " + future + " 0-0",
		fmt.Sprintf("%d-%d %v comet.gap\n{}", first.MS+1, first.Epoch, first),
	} {
		for range 100 {
			server.Do("PUBLISH", "comet:{a}:live", payload)
		}
	}
	c.say("a")
	last := c.log("a").End
	l.awaitID(last)
	if len(l.items) != 1 {
		t.Errorf("got %s", brief(l.items))
	}
	await(t, "all is counted", func() bool { return b.Stats().Foreign[redisbroker.InRelay] >= 1400 })
	if n := strings.Count(log.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings, want 1:\n%s", n, log)
	}
}

// A relayed message that is not in the log and a moment ahead is not detected at once.
// The channel goes on with the next message nevertheless.
func TestForeignRelayAhead(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	c := newHarness(t, at(server.Addr()))
	c.say("a")
	first := c.log("a").End
	l := listenFrom(t, "connected subscriber", "a", pubsub.CursorAfter(first), 0, c.nodes[0])
	server.Do("PUBLISH", "comet:{a}:live", fmt.Sprintf("%d-%d %v x\n1", first.MS+30_000, first.Epoch, first))
	l.until("what was relayed", func(items []pubsub.Item) bool { return len(items) == 1 })
	c.say("a")
	l.awaitID(c.log("a").End)
	if reported := gaps(l.items); len(reported) != 1 || reported[0].Reason != pubsub.Rewound {
		t.Errorf("got %v", reported)
	}
	c.say("a")
	l.awaitID(c.log("a").End)
	if !slices.ContainsFunc(l.items, func(it pubsub.Item) bool { return it.Message != nil && it.Message.ID == c.log("a").End }) {
		t.Errorf("got %s", brief(l.items))
	}
}
