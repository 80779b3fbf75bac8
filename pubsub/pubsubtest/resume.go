package pubsubtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"comet/pubsub"
)

func testFromLast(t *testing.T, newCluster New) {
	hub := node(t, newCluster(t, small))
	publishNumbers(t, hub, "c", 0, 9)
	for _, last := range []int{1, 3, 10, 100} {
		r := read(t, hub, "c", pubsub.From{Last: last})
		first := max(0, 10-last)
		r.count(10 - first)
		wantNumbers(t, r.message(number(9)), first, 9, nil)
	}
	empty := read(t, hub, "empty", pubsub.From{Last: 5})
	publish(t, hub, "empty", number(0))
	wantNumbers(t, empty.message(number(0)), 0, 0, nil)
}

// More than a page of history, with a publisher running.
func testFromEarliest(t *testing.T, newCluster New) {
	c := newCluster(t, small)
	a, b := node(t, c), node(t, c)
	publishNumbers(t, a, "c", 0, 299)
	var publisher sync.WaitGroup
	publisher.Go(func() { publishNumbers(t, a, "c", 300, 499) })
	r := read(t, b, "c", pubsub.From{Earliest: true})
	publisher.Wait()
	wantNumbers(t, r.message(number(499)), 0, 499, nil)
}

// Resume at every position of a 100-message history, on another node, with a
// publisher running: nothing lost, nothing repeated.
func testResumeEverywhere(t *testing.T, newCluster New) {
	c := newCluster(t, small)
	a, b := node(t, c), node(t, c)
	ids := publishNumbers(t, a, "c", 0, 99)
	var publisher sync.WaitGroup
	publisher.Go(func() { publishNumbers(t, a, "c", 100, 299) })
	readers := make([]*reader, 100)
	for i := range readers {
		readers[i] = readFrom(t, b, "c", pubsub.CursorAfter(ids[i]))
	}
	publisher.Wait()
	for i, r := range readers {
		wantNumbers(t, r.message(number(299)), i+1, 299, nil)
	}
}

// The start of an empty channel is a cursor too.
func testResumeBeforeFirst(t *testing.T, newCluster New) {
	c := newCluster(t, small)
	a, b := node(t, c), node(t, c)
	r := read(t, a, "c", pubsub.From{})
	start := r.sub.StartCursors()[0]
	r.leave()
	publishNumbers(t, a, "c", 0, 4)
	wantNumbers(t, readFrom(t, b, "c", start).message(number(4)), 0, 4, nil)
	wantNumbers(t, readFrom(t, b, "c", pubsub.Cursor{}).message(number(4)), 0, 4, nil)
}

// A client that leaves and comes back to the other node again and again, while
// channels are closed as soon as they are unused.
func testComeAndGo(t *testing.T, newCluster New) {
	c := newCluster(t, small)
	quick := pubsub.Options{Linger: time.Millisecond}
	hubs := []*pubsub.Hub{nodeWith(t, c, quick), nodeWith(t, c, quick)}
	r := read(t, hubs[0], "c", pubsub.From{})
	var publisher sync.WaitGroup
	publisher.Go(func() { publishNumbers(t, hubs[0], "c", 0, 999) })
	var got []pubsub.Item
	for turn := 1; len(got) < 1000; turn++ {
		r.until("anything", func(items []pubsub.Item) bool { return len(items) > 0 })
		r.leave()
		items := r.until("the rest", func([]pubsub.Item) bool { return true })
		got = append(got, items...)
		if len(got) < 1000 {
			r = readFrom(t, hubs[turn%2], "c", items[len(items)-1].After)
		}
	}
	publisher.Wait()
	wantNumbers(t, got, 0, 999, nil)
}

// A subscriber that does not read holds up no other, and gets ErrSlow; it goes on
// from its cursor.
func testStoppedReader(t *testing.T, newCluster New) {
	c := newCluster(t, small)
	hub := nodeWith(t, c, pubsub.Options{Tail: pubsub.TailLimits{Messages: 50, Bytes: 1 << 20}})
	stopped, err := hub.Subscribe(t.Context(), []pubsub.Start{{Channel: "c"}})
	if err != nil {
		t.Fatal(err)
	}
	defer stopped.Close()
	r := read(t, hub, "c", pubsub.From{})
	for i := range 500 {
		publish(t, hub, "c", number(i))
		if i%40 == 0 {
			r.message(number(i)) // r must be fast enough, or it would be slow itself
		}
	}
	wantNumbers(t, r.message(number(499)), 0, 499, nil)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := stopped.Next(ctx, 10); !errors.Is(err, pubsub.ErrSlow) {
		t.Errorf("Next: %v, want ErrSlow", err)
	}
	wantNumbers(t, readFrom(t, hub, "c", stopped.StartCursors()[0]).message(number(499)), 0, 499, nil)
}

// One subscriber of several channels gets each in order, and its cursors
// resume all of them.
func testSeveralChannels(t *testing.T, newCluster New) {
	c := newCluster(t, small)
	a, b := node(t, c), node(t, c)
	channels := []string{"a", "b", "c"}
	at := make([]pubsub.Cursor, len(channels))
	got := make([][]pubsub.Item, len(channels))
	total := 0
	take := func(hub *pubsub.Hub, upTo int) {
		starts := make([]pubsub.Start, len(channels))
		for i, channel := range channels {
			starts[i] = pubsub.Start{Channel: channel, From: pubsub.From{Cursor: &at[i]}}
		}
		sub, err := hub.Subscribe(t.Context(), starts)
		if err != nil {
			t.Fatal(err)
		}
		defer sub.Close()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for total < upTo {
			deliveries, err := sub.Next(ctx, 7)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range deliveries {
				got[d.Channel] = append(got[d.Channel], d.Item)
				at[d.Channel] = d.After
				total++
			}
		}
	}
	var publisher sync.WaitGroup
	publisher.Go(func() {
		for i := range 100 {
			for _, channel := range channels {
				publish(t, a, channel, number(i))
			}
		}
	})
	for step := 1; step <= 10; step++ {
		take([]*pubsub.Hub{a, b}[step%2], 30*step)
	}
	publisher.Wait()
	for i := range channels {
		t.Run(fmt.Sprint(channels[i]), func(t *testing.T) { wantNumbers(t, got[i], 0, 99, nil) })
	}
}
