package pubsubtest

import (
	"testing"
	"time"

	"comet/pubsub"
)

// wantGap fails unless g goes from one ID to the other for the given reason.
func wantGap(t *testing.T, g *pubsub.Gap, reason pubsub.Reason, from, to pubsub.ID) {
	t.Helper()
	if want := (pubsub.Gap{Channel: g.Channel, From: from, To: to, Reason: reason}); *g != want {
		t.Errorf("gap %+v, want %+v", *g, want)
	}
}

// wantGapOnce fails if a reader that comes back with the cursor of its gap,
// to any node, gets it again or misses a message after it.
func wantGapOnce(t *testing.T, hub *pubsub.Hub, channel string, items []pubsub.Item, next []byte) {
	t.Helper()
	for i, it := range items {
		if it.Gap == nil {
			continue
		}
		rest := readFrom(t, hub, channel, it.After).message(next)
		if g := gaps(rest); len(g) != len(gaps(items[i+1:])) {
			t.Errorf("coming back with the gap's cursor %v: got %+v", it.After, *g[0])
		}
		if want := messages(items[i+1:]); len(messages(rest)) < len(want) || messages(rest)[0].ID != want[0].ID {
			t.Errorf("coming back with the gap's cursor %v: %s", it.After, show(rest))
		}
	}
}

func testTrimmed(t *testing.T, newCluster New) {
	c := newCluster(t, Options{Size: 100, TTL: time.Hour})
	a, b := node(t, c), node(t, c)
	ids := publishNumbers(t, a, "c", 0, 999)
	oldest := oldest(t, a, "c")
	r := readFrom(t, b, "c", pubsub.CursorAfter(ids[3]))
	items := r.message(number(999))
	if len(gaps(items)) != 1 || items[0].Gap == nil {
		t.Fatalf("got %s, want one gap, first", show(items))
	}
	wantGap(t, items[0].Gap, pubsub.Trimmed, ids[3], oldest.Prev)
	if messages(items)[0].ID != oldest.ID {
		t.Errorf("goes on with %s, want the oldest kept, %s", messages(items)[0].ID, oldest.ID)
	}
	wantGapOnce(t, a, "c", items, number(999))
	// A subscriber that has exactly the trimmed messages lacks nothing.
	if items := readFrom(t, b, "c", pubsub.CursorAfter(oldest.Prev)).message(number(999)); len(gaps(items)) > 0 {
		t.Errorf("resuming right before the oldest kept: %s", show(items[:1]))
	}
}

func testExpired(t *testing.T, newCluster New) {
	c := newCluster(t, Options{Size: 100, TTL: time.Second})
	a, b := node(t, c), node(t, c)
	ids := publishNumbers(t, a, "c", 0, 4)
	awaitEmpty(t, a, "c")
	r := readFrom(t, b, "c", pubsub.CursorAfter(ids[2]))
	wantGap(t, r.gap(1), pubsub.Restarted, ids[2], pubsub.ID{})
	publish(t, a, "c", number(5))
	items := r.message(number(5))
	if len(items) != 2 {
		t.Errorf("got %s, want the gap and one message", show(items))
	}
	wantGapOnce(t, b, "c", items, number(5))
}

// A cursor of an empty channel is a place: what came and expired since is a gap,
// at a node that was there and at one that was not, before and after the next
// message. Within the TTL nothing can have expired, and nothing is reported.
func testExpiredFromEmpty(t *testing.T, newCluster New) {
	c := newCluster(t, Options{Retention: func(channel string) (int, time.Duration) {
		if channel == "brief" {
			return 100, time.Second
		}
		return 100, time.Hour
	}})
	a := nodeWith(t, c, pubsub.Options{Linger: time.Millisecond, Sweep: 50 * time.Millisecond})
	b := node(t, c)
	start := make(map[string]pubsub.Cursor)
	for _, channel := range []string{"brief", "long"} {
		r := read(t, a, channel, pubsub.From{})
		start[channel] = r.sub.StartCursors()[0]
		r.leave()
	}
	gone := publish(t, b, "brief", number(0))
	awaitEmpty(t, b, "brief")
	early := readFrom(t, b, "brief", start["brief"])
	wantGap(t, early.gap(1), pubsub.Restarted, pubsub.ID{}, pubsub.ID{})
	publish(t, b, "brief", number(1))
	late := readFrom(t, a, "brief", start["brief"])
	wantGap(t, late.gap(1), pubsub.Restarted, pubsub.ID{}, gone)
	for _, r := range []*reader{early, late} {
		items := r.message(number(1))
		if len(items) != 2 {
			t.Errorf("got %s, want the gap and one message", show(items))
		}
		wantGapOnce(t, a, "brief", items, number(1))
	}
	quiet := readFrom(t, b, "long", start["long"])
	publish(t, b, "long", number(0))
	wantNumbers(t, quiet.message(number(0)), 0, 0, nil)
	wantNumbers(t, readFrom(t, a, "long", start["long"]).message(number(0)), 0, 0, nil)
}

// A subscriber that was there all the time has missed nothing.
func testExpiredUnderSubscriber(t *testing.T, newCluster New) {
	c := newCluster(t, Options{Size: 100, TTL: time.Second})
	a := nodeWith(t, c, pubsub.Options{Sweep: 50 * time.Millisecond}) // sees the empty log
	b := node(t, c)
	ra, rb := read(t, a, "c", pubsub.From{}), read(t, b, "c", pubsub.From{})
	publishNumbers(t, a, "c", 0, 4)
	awaitEmpty(t, a, "c")
	publishNumbers(t, b, "c", 5, 9)
	wantNumbers(t, ra.message(number(9)), 0, 9, nil)
	wantNumbers(t, rb.message(number(9)), 0, 9, nil)
}

// awaitEmpty waits until the channel's log is gone. Expiry is the store's own
// clock's business, so this one wait asks again and again.
func awaitEmpty(t *testing.T, hub *pubsub.Hub, channel string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		page, err := hub.Read(t.Context(), pubsub.Query{Channel: channel})
		switch {
		case err != nil:
			t.Fatal(err)
		case page.End.IsZero():
			return
		case time.Now().After(deadline):
			t.Fatal("the log does not expire")
		}
	}
}

func testWiped(t *testing.T, newCluster New) {
	c := newCluster(t, alone)
	need(t, c.Wipe != nil, "wipe its data")
	a, b := node(t, c), node(t, c)
	live := read(t, a, "c", pubsub.From{})
	ids := publishNumbers(t, a, "c", 0, 4)
	live.message(number(4))
	c.Wipe()
	r := readFrom(t, b, "c", pubsub.CursorAfter(ids[4]))
	wantGap(t, r.gap(1), pubsub.Restarted, ids[4], pubsub.ID{})
	publishNumbers(t, b, "c", 5, 9)
	wantNumbers(t, messagesOnly(r.message(number(9))), 5, 9, nil)
	// The live one missed nothing, which nothing proves.
	items := live.message(number(9))
	wantGap(t, gaps(items)[0], pubsub.Restarted, ids[4], pubsub.ID{})
	wantNumbers(t, messagesOnly(items), 0, 9, nil)
}

func messagesOnly(items []pubsub.Item) (all []pubsub.Item) {
	for _, it := range items {
		if it.Gap == nil {
			all = append(all, it)
		}
	}
	return all
}
