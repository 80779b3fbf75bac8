package pubsubtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"comet/pubsub"
)

func testOrder(t *testing.T, newCluster New) {
	hub := node(t, newCluster(t, small))
	r := read(t, hub, "c", pubsub.From{})
	ids := publishNumbers(t, hub, "c", 0, 499)
	items := r.message(number(499))
	wantNumbers(t, items, 0, 499, ids)
	for i, m := range messages(items) {
		want := pubsub.ID{}
		if i > 0 {
			want = ids[i-1]
		}
		if m.Prev != want {
			t.Fatalf("message %d has prev %s, want %s", i, m.Prev, want)
		}
		if m.Time != m.ID.Time() || m.Channel != "c" || m.Type != pubsub.DefaultType {
			t.Fatalf("message %d is %+v", i, m)
		}
	}
}

func testTwoNodes(t *testing.T, newCluster New) {
	c := newCluster(t, small)
	a, b := node(t, c), node(t, c)
	ra, rb := read(t, a, "c", pubsub.From{}), read(t, b, "c", pubsub.From{})
	for i := range 200 {
		publish(t, []*pubsub.Hub{a, b}[i%2], "c", number(i))
	}
	wantNumbers(t, ra.message(number(199)), 0, 199, nil)
	wantNumbers(t, rb.message(number(199)), 0, 199, nil)
}

// A subscriber that comes while messages are being published gets every one
// that was accepted after its start was returned.
func testPublishDuringSubscribe(t *testing.T, newCluster New) {
	c := newCluster(t, small)
	a, b := node(t, c), node(t, c)
	const rounds = 30
	for round := range rounds {
		channel := fmt.Sprint("c", round)
		var publisher sync.WaitGroup
		publisher.Go(func() { publishNumbers(t, a, channel, 0, 99) })
		r := read(t, b, channel, pubsub.From{})
		publisher.Wait()
		last := publish(t, a, channel, number(100))
		items := r.message(number(100))
		start := r.sub.StartCursors()[0].Last()
		got := messages(items)
		if got[0].Prev != start {
			t.Fatalf("began at %s, but the first message follows %s", start, got[0].Prev)
		}
		wantNumbers(t, items, 101-len(got), 100, nil)
		if got[len(got)-1].ID != last {
			t.Fatalf("ended at %s, want %s", got[len(got)-1].ID, last)
		}
	}
}

func testConcurrentPublishers(t *testing.T, newCluster New) {
	c := newCluster(t, small)
	a, b := node(t, c), node(t, c)
	r := read(t, b, "c", pubsub.From{})
	const publishers, each = 8, 50
	var all sync.WaitGroup
	var mu sync.Mutex
	accepted := make(map[pubsub.ID]bool)
	for i := range publishers {
		all.Go(func() {
			for range each {
				r := []*pubsub.Hub{a, b}[i%2].Publish(t.Context(), []pubsub.Draft{{Channel: "c", Data: number(i)}})[0]
				if r.Err != nil {
					t.Errorf("publish: %v", r.Err)
				}
				mu.Lock()
				accepted[r.ID] = true
				mu.Unlock()
			}
		})
	}
	all.Wait()
	got := r.count(publishers * each)
	prev := pubsub.ID{}
	for _, m := range got {
		if m.Prev != prev || !accepted[m.ID] {
			t.Fatalf("message %s with prev %s follows %s", m.ID, m.Prev, prev)
		}
		prev = m.ID
	}
	if len(accepted) != len(got) {
		t.Fatalf("%d IDs for %d messages", len(accepted), len(got))
	}
}

// A batch keeps its order, and one bad draft harms no other.
func testBatch(t *testing.T, newCluster New) {
	hub := node(t, newCluster(t, small))
	r := read(t, hub, "c", pubsub.From{})
	receipts := hub.Publish(t.Context(), []pubsub.Draft{
		{Channel: "c", Data: number(0)},
		{Channel: "bad{", Data: number(1)},
		{Channel: "c", Data: number(1), Type: "note"},
		{Channel: "other", Data: number(7)},
		{Channel: "c", Data: number(2), Key: "k"},
		{Channel: "c", Data: number(2), Key: "k"},
	})
	var invalid *pubsub.InvalidError
	if !errors.As(receipts[1].Err, &invalid) || invalid.Field != "channel" {
		t.Errorf("bad channel: %v", receipts[1].Err)
	}
	for _, i := range []int{0, 2, 3, 4, 5} {
		if receipts[i].Err != nil || receipts[i].ID.IsZero() {
			t.Errorf("receipt %d: %+v", i, receipts[i])
		}
	}
	if !receipts[5].Duplicate || receipts[5].ID != receipts[4].ID {
		t.Errorf("repeat in one batch: %+v, first %+v", receipts[5], receipts[4])
	}
	items := r.message(number(2))
	wantNumbers(t, items, 0, 2, nil)
	if got := messages(items)[1].Type; got != "note" {
		t.Errorf("type %q, want note", got)
	}
}

func testIdempotent(t *testing.T, newCluster New) {
	c := newCluster(t, small)
	a, b := node(t, c), node(t, c)
	r := read(t, a, "c", pubsub.From{})
	draft := pubsub.Draft{Channel: "c", Data: number(0), Key: "order-17"}
	first := a.Publish(t.Context(), []pubsub.Draft{draft})[0]
	second := b.Publish(t.Context(), []pubsub.Draft{draft})[0]
	if first.Err != nil || first.Duplicate || second.Err != nil || !second.Duplicate || first.ID != second.ID {
		t.Errorf("first %+v, second %+v", first, second)
	}
	// The same key in another channel is another key.
	if other := b.Publish(t.Context(), []pubsub.Draft{{Channel: "d", Data: number(0), Key: "order-17"}})[0]; other.Err != nil || other.Duplicate {
		t.Errorf("other channel: %+v", other)
	}
	publish(t, a, "c", number(1))
	wantNumbers(t, r.message(number(1)), 0, 1, nil)
}

// A key belongs to its owner: its use by another owner does not count, whatever
// bytes the names have. Another message of the same owner under it is refused, in
// a batch too.
func testKeyOwner(t *testing.T, newCluster New) {
	c := newCluster(t, small)
	a, b := node(t, c), node(t, c)
	ids := make(map[pubsub.ID]string)
	owners := []string{"", "user:alice", "user:alic", "user:mallory\x00", "user:" + strings.Repeat("{é}\n", 1000)}
	for i, owner := range owners {
		for _, key := range []string{"k", "ek"} {
			draft := pubsub.Draft{Channel: "c", Data: number(i), Key: key, Owner: owner}
			first := a.Publish(t.Context(), []pubsub.Draft{draft})[0]
			if first.Err != nil || first.Duplicate || ids[first.ID] != "" {
				t.Errorf("%.20q %q: %+v, the ID is that of %q", owner, key, first, ids[first.ID])
			}
			ids[first.ID] = owner + key
			if repeat := b.Publish(t.Context(), []pubsub.Draft{draft})[0]; repeat.Err != nil || !repeat.Duplicate || repeat.ID != first.ID {
				t.Errorf("%.20q %q again: %+v", owner, key, repeat)
			}
		}
	}
	other := pubsub.Draft{Channel: "c", Data: number(99), Key: "k", Owner: "user:alice"}
	typed := pubsub.Draft{Channel: "c", Data: number(1), Key: "k", Owner: "user:alice", Type: "note"}
	last := pubsub.Draft{Channel: "c", Data: number(100)}
	receipts := b.Publish(t.Context(), []pubsub.Draft{other, typed, last})
	for _, r := range receipts[:2] {
		if !errors.Is(r.Err, pubsub.ErrKeyReused) || !r.ID.IsZero() {
			t.Errorf("another message: %+v", r)
		}
	}
	if receipts[2].Err != nil {
		t.Errorf("after them: %+v", receipts[2])
	}
	page, err := a.Read(t.Context(), pubsub.Query{Channel: "c", Limit: 100})
	if err != nil || len(page.Messages) != 2*len(owners)+1 {
		t.Errorf("the log has %d messages (%v)", len(page.Messages), err)
	}
}

// Ephemeral messages reach who is there, have no ID and move no cursor.
func testEphemeral(t *testing.T, newCluster New) {
	c := newCluster(t, small)
	a, b := node(t, c), node(t, c)
	r := read(t, b, "c", pubsub.From{})
	ids := publishNumbers(t, a, "c", 0, 0)
	r.message(number(0))
	receipt := a.Publish(t.Context(), []pubsub.Draft{{Channel: "c", Data: []byte(`"typing"`), Type: "typing", Ephemeral: true}})[0]
	if receipt.Err != nil || !receipt.ID.IsZero() {
		t.Errorf("receipt %+v", receipt)
	}
	items := r.message([]byte(`"typing"`))
	last := items[len(items)-1]
	if !last.Message.Ephemeral() || last.Message.Type != "typing" || last.Message.Time.IsZero() || last.After != pubsub.CursorAfter(ids[0]) {
		t.Errorf("item %+v, message %+v", last, last.Message)
	}
	publish(t, a, "c", number(1))
	page, err := a.Read(t.Context(), pubsub.Query{Channel: "c", Limit: 10})
	if err != nil || len(page.Messages) != 2 {
		t.Errorf("the log has %d messages, want 2 (%v)", len(page.Messages), err)
	}
}

func testInvalid(t *testing.T, newCluster New) {
	hub := node(t, newCluster(t, small))
	for field, draft := range map[string]pubsub.Draft{
		"channel": {Channel: strings.Repeat("x", 256), Data: number(0)},
		"type":    {Channel: "c", Type: "comet.bye", Data: number(0)},
		"key":     {Channel: "c", Key: "a b", Data: number(0)},
		"data":    {Channel: "c"},
	} {
		var invalid *pubsub.InvalidError
		if err := hub.Publish(t.Context(), []pubsub.Draft{draft})[0].Err; !errors.As(err, &invalid) || invalid.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	var invalid *pubsub.InvalidError
	if _, err := hub.Subscribe(t.Context(), []pubsub.Start{{Channel: "a\nb"}}); !errors.As(err, &invalid) {
		t.Errorf("subscribe: %v", err)
	}
	if _, err := hub.Read(t.Context(), pubsub.Query{}); !errors.As(err, &invalid) {
		t.Errorf("read: %v", err)
	}
}

func testRead(t *testing.T, newCluster New) {
	hub := node(t, newCluster(t, small))
	ids := publishNumbers(t, hub, "c", 0, 9)
	for _, test := range []struct {
		name        string
		query       pubsub.Query
		first, last int // numbers, in the page's order; last < first and not Backward: none
	}{
		{"all", pubsub.Query{Limit: 100}, 0, 9},
		{"first", pubsub.Query{Limit: 3}, 0, 2},
		{"after", pubsub.Query{Cursor: ids[3], Limit: 3}, 4, 6},
		{"after the last", pubsub.Query{Cursor: ids[9], Limit: 3}, 0, -1},
		{"end only", pubsub.Query{Limit: 0}, 0, -1},
		{"newest", pubsub.Query{Backward: true, Limit: 3}, 9, 7},
		{"before", pubsub.Query{Cursor: ids[3], Backward: true, Limit: 100}, 2, 0},
	} {
		test.query.Channel = "c"
		page, err := hub.Read(t.Context(), test.query)
		if err != nil || page.Epoch == 0 || page.End != ids[9] {
			t.Errorf("%s: page %+v, error %v", test.name, page, err)
		}
		step := 1
		if test.query.Backward {
			step = -1
		}
		if want := (test.last-test.first)*step + 1; len(page.Messages) != max(0, want) {
			t.Errorf("%s: %d messages, want %d", test.name, len(page.Messages), want)
			continue
		}
		for i, m := range page.Messages {
			if n := test.first + i*step; m.ID != ids[n] || string(m.Data) != string(number(n)) {
				t.Errorf("%s: message %d is %s, want %d", test.name, i, m.Data, n)
			}
		}
	}
	page, err := hub.Read(t.Context(), pubsub.Query{Channel: "unknown", Backward: true, Limit: 5})
	if err != nil || len(page.Messages) != 0 || !page.End.IsZero() {
		t.Errorf("unknown channel: page %+v, error %v", page, err)
	}
}

// A page ends at its bytes as at its messages, says so, and always has one
// message if there is one; the next pages have the rest, each message once.
func testReadBounded(t *testing.T, newCluster New) {
	hub := node(t, newCluster(t, small))
	const kib = 1 << 10
	sizes := []int{1, 100, 2 * kib, 2 * kib, 2 * kib, 300 * kib, 10, 100 * kib, 100 * kib, 100 * kib, 1, 1, 400 * kib}
	ids := make([]pubsub.ID, len(sizes))
	for i, n := range sizes {
		ids[i] = publish(t, hub, "c", fmt.Appendf(nil, "%q", strings.Repeat("x", n)))
	}
	for _, limits := range []pubsub.Query{{Limit: 100}, {Limit: 2}, {Limit: 100, Bytes: 1}, {Limit: 100, Bytes: 5 * kib}} {
		for _, backward := range []bool{false, true} {
			q := limits
			q.Channel, q.Backward = "c", backward
			var got []pubsub.ID
			for more := true; more; {
				page, err := hub.Read(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				if n := len(page.Messages); n > q.Limit || n > 1 && page.Size() > q.MaxBytes() || n == 0 && page.More {
					t.Fatalf("%+v: a page of %d messages and %d bytes, more: %t", q, n, page.Size(), page.More)
				}
				for _, m := range page.Messages {
					got = append(got, m.ID)
					q.Cursor = m.ID
				}
				more = page.More
			}
			if backward {
				slices.Reverse(got)
			}
			if !slices.Equal(got, ids) {
				t.Errorf("%+v: read %v, want %v", limits, got, ids)
			}
		}
	}
}

func testCloseAnytime(t *testing.T, newCluster New) {
	c := newCluster(t, small)
	for range 10 {
		b := c.Node()
		hub := pubsub.NewHub(b, pubsub.Options{})
		var busy sync.WaitGroup
		for i := range 4 {
			busy.Go(func() {
				for {
					r := hub.Publish(context.Background(), []pubsub.Draft{{Channel: "c", Data: number(i)}})[0]
					if r.Err != nil {
						return
					}
				}
			})
			busy.Go(func() {
				if err := subscribeUntilClosed(hub); !errors.Is(err, pubsub.ErrClosed) && !errors.Is(err, pubsub.ErrUnavailable) {
					t.Errorf("a subscriber ended with %v, want ErrClosed", err)
				}
			})
		}
		for range 2 {
			busy.Go(hub.Close)
			busy.Go(func() {
				if err := b.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
		}
		busy.Wait()
		if r := b.Publish(context.Background(), []pubsub.Draft{{Channel: "c", Data: number(0)}})[0]; !errors.Is(r.Err, pubsub.ErrClosed) {
			t.Errorf("publish after close: %v", r.Err)
		}
		if p := b.Read(context.Background(), []pubsub.Query{{Channel: "c"}})[0]; !errors.Is(p.Err, pubsub.ErrClosed) {
			t.Errorf("read after close: %v", p.Err)
		}
	}
}

// subscribeUntilClosed reads, and subscribes again whenever it was too slow.
func subscribeUntilClosed(hub *pubsub.Hub) error {
	for {
		sub, err := hub.Subscribe(context.Background(), []pubsub.Start{{Channel: "c"}, {Channel: "d"}})
		if err != nil {
			return err
		}
		for err == nil {
			_, err = sub.Next(context.Background(), 10)
		}
		sub.Close()
		if !errors.Is(err, pubsub.ErrSlow) {
			return err
		}
	}
}
