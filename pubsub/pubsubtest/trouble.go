package pubsubtest

import (
	"errors"
	"sync"
	"testing"

	"comet/pubsub"
)

// The relay is cut again and again in the middle of 2,000 publishes: every
// accepted message is delivered once, in order, on both nodes, without a gap.
func testRelayCut(t *testing.T, newCluster New) {
	c := newCluster(t, alone)
	need(t, c.CutRelay != nil, "cut its relay")
	a, b := node(t, c), node(t, c)
	ra, rb := read(t, a, "c", pubsub.From{}), read(t, b, "c", pubsub.From{})
	const total = 2000
	var publishers sync.WaitGroup
	publishers.Go(func() {
		for i := range total {
			if i%200 == 100 {
				c.CutRelay()
			}
			publish(t, []*pubsub.Hub{a, b}[i%2], "c", number(i))
		}
	})
	publishers.Wait()
	wantNumbers(t, ra.message(number(total-1)), 0, total-1, nil)
	wantNumbers(t, rb.message(number(total-1)), 0, total-1, nil)
}

// The store comes back empty: live and resuming subscribers get one gap, and
// delivery goes on.
func testRestartEmpty(t *testing.T, newCluster New) {
	c := newCluster(t, alone)
	need(t, c.Restart != nil, "restart")
	a, b := node(t, c), node(t, c)
	ra, rb := read(t, a, "c", pubsub.From{}), read(t, b, "c", pubsub.From{})
	ids := publishNumbers(t, a, "c", 0, 9)
	ra.message(number(9))
	rb.message(number(9))
	c.Restart(true)
	for _, r := range []*reader{ra, rb} {
		wantGap(t, r.gap(1), pubsub.Restarted, ids[9], pubsub.ID{})
	}
	for i := 10; i < 20; i++ {
		persist(t, b, "c", number(i))
	}
	for _, r := range []*reader{ra, rb} {
		items := r.message(number(19))
		wantNumbers(t, messagesOnly(items), 0, 19, nil)
		if n := len(gaps(items)); n != 1 {
			t.Errorf("%d gaps, want 1: %s", n, show(items))
		}
		wantGapOnce(t, b, "c", items, number(19))
	}
	// A node without a tail has only the log to serve from.
	resumed := readFrom(t, node(t, c), "c", pubsub.CursorAfter(ids[5])).message(number(19))
	wantNumbers(t, messagesOnly(resumed), 10, 19, nil)
	wantGap(t, gaps(resumed)[0], pubsub.Restarted, ids[5], pubsub.ID{})
}

// The store comes back with its data: a new epoch, so acknowledged messages may be
// missing, and every subscriber gets one gap, after the messages that are there.
func testRestartWithData(t *testing.T, newCluster New) {
	c := newCluster(t, alone)
	need(t, c.Restart != nil, "restart")
	a, b := node(t, c), node(t, c)
	live := read(t, a, "c", pubsub.From{})
	quiet := read(t, a, "quiet", pubsub.From{})
	ids := publishNumbers(t, a, "c", 0, 9)
	live.message(number(9))
	c.Restart(false)
	wantGap(t, live.gap(1), pubsub.Failover, ids[9], ids[9])
	wantGap(t, quiet.gap(1), pubsub.Failover, pubsub.ID{}, pubsub.ID{})
	resumed := readFrom(t, b, "c", pubsub.CursorAfter(ids[5]))
	wantGap(t, resumed.gap(1), pubsub.Failover, ids[9], ids[9])
	for i := 10; i < 20; i++ {
		persist(t, a, "c", number(i))
	}
	persist(t, a, "quiet", number(0))
	for _, r := range []*reader{live, resumed} {
		items := r.message(number(19))
		first := 0
		if r == resumed {
			first = 6
		}
		wantNumbers(t, messagesOnly(items), first, 19, nil)
		if n := len(gaps(items)); n != 1 {
			t.Errorf("%d gaps, want 1: %s", n, show(items))
		}
		wantGapOnce(t, b, "c", items, number(19))
	}
	wantGapOnce(t, b, "quiet", quiet.message(number(0)), number(0))
}

// Between two entries of the log the epoch changed while no subscriber was there:
// each one that passes that place gets a gap.
func testEpochChanged(t *testing.T, newCluster New) {
	c := newCluster(t, alone)
	need(t, c.Restart != nil, "restart")
	a := node(t, c)
	ids := publishNumbers(t, a, "c", 0, 4)
	c.Restart(false)
	for i := 5; i < 10; i++ {
		ids = append(ids, persist(t, a, "c", number(i)))
	}
	b := node(t, c)
	items := readFrom(t, b, "c", pubsub.CursorAfter(ids[2])).message(number(9))
	wantNumbers(t, messagesOnly(items), 3, 9, ids)
	if len(gaps(items)) != 1 || items[2].Gap == nil {
		t.Fatalf("got %s, want one gap after 4", show(items))
	}
	wantGap(t, items[2].Gap, pubsub.Failover, ids[4], ids[4])
	wantGapOnce(t, b, "c", items, number(9))
	if items := readFrom(t, b, "c", pubsub.CursorAfter(ids[6])).message(number(9)); len(gaps(items)) > 0 {
		t.Errorf("a gap for a failover before the cursor: %s", show(items))
	}
}

// While the store is away, publishing says so, subscribers stay and get nothing;
// new ones of open channels are accepted.
func testAway(t *testing.T, newCluster New) {
	c := newCluster(t, alone)
	need(t, c.Stop != nil, "stop")
	hub := node(t, c)
	live := read(t, hub, "c", pubsub.From{})
	publishNumbers(t, hub, "c", 0, 4)
	live.message(number(4))
	c.Stop()
	err := pubsub.ErrOutcomeUnknown
	for errors.Is(err, pubsub.ErrOutcomeUnknown) { // on connections of before
		err = hub.Publish(t.Context(), []pubsub.Draft{{Channel: "c", Data: number(5)}})[0].Err
	}
	if !errors.Is(err, pubsub.ErrUnavailable) {
		t.Errorf("publish: %v, want ErrUnavailable", err)
	}
	if _, err := hub.Subscribe(t.Context(), []pubsub.Start{{Channel: "new"}}); !errors.Is(err, pubsub.ErrUnavailable) {
		t.Errorf("subscribe to a new channel: %v, want ErrUnavailable", err)
	}
	late := read(t, hub, "c", pubsub.From{})
	if items := live.message(number(4)); len(items) != 5 {
		t.Errorf("got %s, want five messages", show(items))
	}
	c.Start()
	persist(t, hub, "c", number(5))
	for _, r := range []*reader{live, late} {
		items := r.message(number(5))
		if len(gaps(items)) != 1 {
			t.Errorf("got %s, want one gap", show(items))
		}
	}
}
