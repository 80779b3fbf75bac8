package pubsubtest

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"comet/pubsub"
)

// ordersIndex has channels below orders in four index logs.
func ordersIndex(t *testing.T) *pubsub.Index {
	t.Helper()
	x, err := pubsub.NewIndex([]pubsub.IndexRule{{Match: "orders/**", Logs: 4}})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// indexed is options for a cluster with ordersIndex.
func indexed(t *testing.T, o Options) Options {
	o.Index = ordersIndex(t)
	return o
}

// patternReader collects what a subscriber of a pattern gets.
type patternReader struct{ *reader }

// readPattern subscribes to a pattern; at has a cursor for each index log, nil: from.
func readPattern(t *testing.T, hub *pubsub.Hub, text string, from pubsub.From, at []pubsub.Cursor) patternReader {
	t.Helper()
	p, err := ordersIndex(t).Pattern(text)
	if err != nil {
		t.Fatal(err)
	}
	f := &pubsub.Filter{Pattern: p}
	starts := pubsub.StartsOf(f, from)
	for i := range at {
		starts[i].From = pubsub.From{Cursor: &at[i]}
	}
	return patternReader{readAll(t, hub, starts)}
}

// positions ends the reader and returns where it was in each index log.
func (r patternReader) positions() []pubsub.Cursor {
	r.stop()
	r.done.Wait()
	at := make([]pubsub.Cursor, r.sub.Channels())
	for i := range at {
		at[i] = r.sub.Position(i)
	}
	r.sub.Close()
	return at
}

// byChannel returns items by their channel; gaps are of the pattern.
func byChannel(items []pubsub.Item) map[string][]pubsub.Item {
	got := make(map[string][]pubsub.Item)
	for _, it := range items {
		channel := ""
		if it.Message != nil {
			channel = it.Message.Channel
		} else {
			channel = it.Gap.Channel
		}
		got[channel] = append(got[channel], it)
	}
	return got
}

// until waits until enough says so and returns all items by channel.
func (r patternReader) until(what string, enough func(got map[string][]pubsub.Item) bool) map[string][]pubsub.Item {
	r.t.Helper()
	return byChannel(r.reader.until(what, func(items []pubsub.Item) bool { return enough(byChannel(items)) }))
}

// count waits for n messages and returns all items by channel.
func (r patternReader) count(n int) map[string][]pubsub.Item {
	r.t.Helper()
	return byChannel(r.reader.until(fmt.Sprint(n, " messages"), func(items []pubsub.Item) bool { return len(messages(items)) >= n }))
}

// A subscriber of a pattern gets every message of the channels that it matches, as the
// subscribers of these do, and nothing else, on every node.
func testPattern(t *testing.T, newCluster New) {
	c := newCluster(t, indexed(t, small))
	a, b := node(t, c), node(t, c)
	all := readPattern(t, a, "orders/**", pubsub.From{}, nil)
	other := readPattern(t, b, "orders/**", pubsub.From{}, nil)
	some := readPattern(t, b, "orders/*/new", pubsub.From{}, nil)
	one := read(t, b, "orders/3", pubsub.From{})
	const channels, each = 10, 5
	ids := make(map[string][]pubsub.ID)
	for i := range each {
		var drafts []pubsub.Draft
		for n := range channels {
			channel := fmt.Sprintf("orders/%d", n)
			ids[channel] = append(ids[channel], publish(t, []*pubsub.Hub{a, b}[i%2], channel, number(i)))
			drafts = append(drafts, pubsub.Draft{Channel: channel + "/new", Data: number(i), Key: fmt.Sprint(channel, i)})
		}
		drafts = append(drafts, pubsub.Draft{Channel: "other/1", Data: number(i)})
		for range 2 { // the second time all are duplicates
			for j, r := range a.Publish(t.Context(), drafts) {
				if r.Err != nil {
					t.Fatal(r.Err)
				}
				if r.Duplicate || j == channels {
					continue
				}
				ids[drafts[j].Channel] = append(ids[drafts[j].Channel], r.ID)
			}
			drafts = drafts[:channels]
		}
	}
	for _, r := range []patternReader{all, other} {
		got := r.count(2 * channels * each)
		if len(got) != 2*channels {
			t.Errorf("got messages of %d channels, want %d: %v", len(got), 2*channels, slices.Sorted(maps.Keys(got)))
		}
		for channel, items := range got {
			wantNumbers(t, items, 0, each-1, ids[channel])
		}
	}
	got := some.count(channels * each)
	if len(got) != channels {
		t.Errorf("orders/*/new got messages of %d channels, want %d", len(got), channels)
	}
	wantNumbers(t, one.message(number(each-1)), 0, each-1, ids["orders/3"])

	// Ephemeral messages, and those that are too large to be relayed, come too.
	r := a.Publish(t.Context(), []pubsub.Draft{{Channel: "orders/3", Data: []byte(`"now"`), Ephemeral: true}})[0]
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	large := append(append([]byte(`"`), slices.Repeat([]byte("x"), 60_000)...), '"')
	id := publish(t, b, "orders/3", large)
	items := other.until("a large message", func(got map[string][]pubsub.Item) bool {
		n := len(got["orders/3"])
		return got["orders/3"][n-1].Message.ID == id
	})["orders/3"]
	if m := items[each].Message; !m.Ephemeral() || string(m.Data) != `"now"` || m.Channel != "orders/3" {
		t.Errorf("got %v, want the ephemeral message", m)
	}
	if m := items[each+1].Message; string(m.Data) != string(large) {
		t.Errorf("the large message has %d bytes", len(m.Data))
	}
}

// A subscriber of a pattern that moves from node to node lacks nothing and gets nothing
// twice.
func testPatternResume(t *testing.T, newCluster New) {
	c := newCluster(t, indexed(t, small))
	quick := pubsub.Options{Linger: time.Millisecond}
	hubs := []*pubsub.Hub{nodeWith(t, c, quick), nodeWith(t, c, quick)}
	r := readPattern(t, hubs[0], "orders/**", pubsub.From{}, nil)
	const channels, each = 20, 40
	var publisher sync.WaitGroup
	publisher.Go(func() {
		for i := range each {
			for n := range channels {
				publish(t, hubs[n%2], fmt.Sprintf("orders/%d", n), number(i))
			}
		}
	})
	got, total := make(map[string][]pubsub.Item), 0
	for turn := 1; total < channels*each; turn++ {
		r.count(1)
		at := r.positions()
		for channel, items := range byChannel(r.items) {
			got[channel] = append(got[channel], items...)
		}
		if total += len(messages(r.items)); total < channels*each {
			r = readPattern(t, hubs[turn%2], "orders/**", pubsub.From{}, at)
		}
	}
	publisher.Wait()
	for channel, items := range got {
		t.Run(channel, func(t *testing.T) { wantNumbers(t, items, 0, each-1, nil) })
	}
}

// Earliest is all of the index logs, and Last the newest messages that match.
func testPatternFrom(t *testing.T, newCluster New) {
	c := newCluster(t, indexed(t, small))
	hub := node(t, c)
	for i := range 10 {
		for n := range 5 {
			publish(t, hub, fmt.Sprintf("orders/%d", n), number(i))
			publish(t, hub, fmt.Sprintf("orders/%d/new", n), number(i))
		}
	}
	got := readPattern(t, node(t, c), "orders/*", pubsub.From{Earliest: true}, nil).count(50)
	for channel, items := range got {
		wantNumbers(t, items, 0, 9, nil)
		if len(got) != 5 {
			t.Errorf("got %s", channel)
		}
	}
	r := readPattern(t, node(t, c), "orders/*/new", pubsub.From{Last: 7}, nil)
	last := publish(t, hub, "orders/0/new", number(10))
	got = r.until("the next message", func(got map[string][]pubsub.Item) bool {
		items := got["orders/0/new"]
		return len(items) > 0 && items[len(items)-1].Message.ID == last
	})
	older := slices.DeleteFunc(slices.Concat(slices.Collect(maps.Values(got))...), func(it pubsub.Item) bool { return it.Message.ID == last })
	if len(older) != 7 {
		t.Errorf("got %d messages before the next one, want 7: %s", len(older), show(older))
	}
	// IDs order messages of different channels to the millisecond.
	for channel, items := range got {
		items = slices.DeleteFunc(items, func(it pubsub.Item) bool { return it.Message.ID == last })
		if len(items) > 0 {
			wantNumbers(t, items, 10-len(items), 9, nil)
		}
		if p, _ := ordersIndex(t).Pattern("orders/*/new"); !p.Match(channel) {
			t.Errorf("got a message of %s", channel)
		}
	}
}

// A gap of an index log is a gap of the pattern.
func testPatternTrimmed(t *testing.T, newCluster New) {
	c := newCluster(t, indexed(t, Options{Size: 100, TTL: time.Hour}))
	a, b := node(t, c), node(t, c)
	r := readPattern(t, a, "orders/*", pubsub.From{}, nil)
	publish(t, a, "orders/1", number(0))
	r.count(1)
	at := r.positions()
	publishNumbers(t, a, "orders/1", 1, 999)
	got := readPattern(t, b, "orders/*", pubsub.From{}, at).until("the newest message", func(got map[string][]pubsub.Item) bool {
		items := got["orders/1"]
		return len(items) > 0 && string(items[len(items)-1].Message.Data) == "999"
	})
	if g := gaps(got["orders/*"]); len(g) != 1 || g[0].Reason != pubsub.Trimmed {
		t.Errorf("got %s, want one gap", show(got["orders/*"]))
	}
}

// The relay is cut again and again while 1,000 channels get messages: every accepted
// message is delivered once, in order, on both nodes, without a gap.
func testPatternRelayCut(t *testing.T, newCluster New) {
	c := newCluster(t, indexed(t, alone))
	need(t, c.CutRelay != nil, "cut its relay")
	a, b := node(t, c), node(t, c)
	ra, rb := readPattern(t, a, "orders/**", pubsub.From{}, nil), readPattern(t, b, "orders/**", pubsub.From{}, nil)
	const channels, each = 1000, 3
	for i := range each {
		for n := range channels {
			if n%250 == 100 {
				c.CutRelay()
			}
			publish(t, []*pubsub.Hub{a, b}[n%2], fmt.Sprintf("orders/%d", n), number(i))
		}
	}
	for _, r := range []patternReader{ra, rb} {
		got := r.count(channels * each)
		if len(got) != channels {
			t.Errorf("got %d channels or gaps, want %d", len(got), channels)
		}
		for _, items := range got {
			wantNumbers(t, items, 0, each-1, nil)
		}
	}
}

// The store comes back empty: subscribers get one gap per index log that had messages.
func testPatternRestartEmpty(t *testing.T, newCluster New) {
	testPatternRestart(t, newCluster, true, pubsub.Restarted)
}

// The store comes back with its data, in a new epoch.
func testPatternRestartWithData(t *testing.T, newCluster New) {
	testPatternRestart(t, newCluster, false, pubsub.Failover)
}

func testPatternRestart(t *testing.T, newCluster New, empty bool, reason pubsub.Reason) {
	c := newCluster(t, indexed(t, alone))
	need(t, c.Restart != nil, "restart")
	a, b := node(t, c), node(t, c)
	live := readPattern(t, a, "orders/**", pubsub.From{}, nil)
	away := readPattern(t, b, "orders/**", pubsub.From{}, nil)
	const channels = 30
	for n := range channels {
		publish(t, a, fmt.Sprintf("orders/%d", n), number(0))
	}
	live.count(channels)
	away.count(channels)
	at := away.positions()
	c.Restart(empty)
	hasGaps := func(got map[string][]pubsub.Item) bool { return len(got["orders/**"]) >= 4 }
	live.until("a gap per index log", hasGaps)
	back := readPattern(t, b, "orders/**", pubsub.From{}, at)
	back.until("a gap per index log", hasGaps)
	for n := range channels {
		persist(t, b, fmt.Sprintf("orders/%d", n), number(1))
	}
	first := map[patternReader]int{live: 0, back: 1}
	for r, first := range first {
		got := r.count(channels * (2 - first))
		for _, g := range gaps(got["orders/**"]) {
			if g.Reason != reason {
				t.Errorf("gap %+v, want %s", *g, reason)
			}
		}
		if n := len(got["orders/**"]); n != 4 {
			t.Errorf("%d gaps, want one per index log: %s", n, show(got["orders/**"]))
		}
		delete(got, "orders/**")
		for _, items := range got {
			wantNumbers(t, items, first, 1, nil)
		}
	}
}

// Something else is in the place of an index log: publishing to its channels says so, and
// nothing is in a channel's log that the index lacks.
func testPatternOccupied(t *testing.T, newCluster New) {
	c := newCluster(t, indexed(t, small))
	need(t, c.Occupy != nil, "put something in the place of a log")
	hub := node(t, c)
	x := ordersIndex(t)
	log := x.Log("orders/1")
	c.Occupy(log)
	occupied, free := 0, 0
	for n := range 20 {
		channel := fmt.Sprintf("orders/%d", n)
		r := hub.Publish(t.Context(), []pubsub.Draft{{Channel: channel, Data: number(n)}})[0]
		if x.Log(channel) != log {
			free++
			if r.Err != nil {
				t.Errorf("publish to %s, whose index log is another: %v", channel, r.Err)
			}
			continue
		}
		occupied++
		page, err := hub.Read(t.Context(), pubsub.Query{Channel: channel, Limit: 1})
		if r.Err == nil || err != nil || len(page.Messages) > 0 {
			t.Errorf("publish to %s: %v; its log has %d messages, %v", channel, r.Err, len(page.Messages), err)
		}
	}
	if occupied == 0 || free == 0 {
		t.Errorf("%d channels in one index log and %d in others", occupied, free)
	}
}
