package pubsubtest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"comet/pubsub"
)

// reader collects what a subscriber gets.
type reader struct {
	t    *testing.T
	sub  *pubsub.Subscriber
	stop context.CancelFunc
	done sync.WaitGroup

	mu    sync.Mutex
	items []pubsub.Item
	grown chan struct{} // closed and replaced when items has grown
	err   error
}

// read subscribes; the reader runs until stopped or the end of the test.
func read(t *testing.T, hub *pubsub.Hub, channel string, from pubsub.From) *reader {
	t.Helper()
	return readAll(t, hub, []pubsub.Start{{Channel: channel, From: from}})
}

// readAll is read from several channels or logs.
func readAll(t *testing.T, hub *pubsub.Hub, starts []pubsub.Start) *reader {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	sub, err := hub.Subscribe(ctx, starts)
	if err != nil {
		stop()
		t.Fatalf("subscribe: %v", err)
	}
	r := &reader{t: t, sub: sub, stop: stop, grown: make(chan struct{})}
	r.done.Go(func() {
		for {
			got, err := sub.Next(ctx, 100)
			r.mu.Lock()
			for _, d := range got {
				r.items = append(r.items, d.Item)
			}
			r.err = err
			close(r.grown)
			r.grown = make(chan struct{})
			r.mu.Unlock()
			if err != nil {
				return
			}
		}
	})
	t.Cleanup(r.leave)
	return r
}

// readFrom is read from a cursor.
func readFrom(t *testing.T, hub *pubsub.Hub, channel string, at pubsub.Cursor) *reader {
	t.Helper()
	return read(t, hub, channel, pubsub.From{Cursor: &at})
}

// leave ends the reader; its items stay.
func (r *reader) leave() {
	r.stop()
	r.done.Wait()
	r.sub.Close()
}

// until waits until enough says so and returns all items.
func (r *reader) until(what string, enough func([]pubsub.Item) bool) []pubsub.Item {
	r.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		r.mu.Lock()
		items, grown, err := r.items, r.grown, r.err
		r.mu.Unlock()
		if enough(items) {
			return items
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			r.t.Fatalf("waiting for %s: %v", what, err)
		}
		select {
		case <-grown:
		case <-deadline.C:
			r.t.Fatalf("waited %v for %s; got %d items, the newest: %s", patience, what, len(items), show(items[max(0, len(items)-5):]))
		}
	}
}

// message waits for the message with the given data and returns what came up
// to then.
func (r *reader) message(data []byte) []pubsub.Item {
	r.t.Helper()
	return r.until("message "+string(data), func(items []pubsub.Item) bool {
		for _, it := range items {
			if it.Message != nil && string(it.Message.Data) == string(data) {
				return true
			}
		}
		return false
	})
}

// gap waits for the n-th gap, counted from 1.
func (r *reader) gap(n int) *pubsub.Gap {
	r.t.Helper()
	items := r.until("a gap", func(items []pubsub.Item) bool { return len(gaps(items)) >= n })
	return gaps(items)[n-1]
}

// count waits for n messages.
func (r *reader) count(n int) []*pubsub.Message {
	r.t.Helper()
	return messages(r.until("messages", func(items []pubsub.Item) bool { return len(messages(items)) >= n }))
}

func messages(items []pubsub.Item) (all []*pubsub.Message) {
	for _, it := range items {
		if it.Message != nil {
			all = append(all, it.Message)
		}
	}
	return all
}

func gaps(items []pubsub.Item) (all []*pubsub.Gap) {
	for _, it := range items {
		if it.Gap != nil {
			all = append(all, it.Gap)
		}
	}
	return all
}

func show(items []pubsub.Item) string {
	s := ""
	for _, it := range items {
		switch {
		case it.Message != nil:
			s += string(it.Message.Data) + " "
		case it.Gap != nil:
			s += "(" + string(it.Gap.Reason) + " " + it.Gap.From.String() + ".." + it.Gap.To.String() + ") "
		}
	}
	return s
}

// wantNumbers fails unless the messages are exactly numbers first to last, in
// order, each with the ID it was published under, and there is no gap.
func wantNumbers(t *testing.T, items []pubsub.Item, first, last int, ids []pubsub.ID) {
	t.Helper()
	if g := gaps(items); len(g) > 0 {
		t.Errorf("gap %+v, want none", *g[0])
	}
	got := messages(items)
	if len(got) != last-first+1 {
		t.Fatalf("%d messages, want %d to %d", len(got), first, last)
	}
	for i, m := range got {
		if string(m.Data) != string(number(first+i)) {
			t.Fatalf("message %d is %s, want %s", i, m.Data, number(first+i))
		}
		if ids != nil && m.ID != ids[first+i] {
			t.Fatalf("message %s has ID %s, was published as %s", m.Data, m.ID, ids[first+i])
		}
	}
}

// publish publishes one message and returns its ID.
func publish(t *testing.T, hub *pubsub.Hub, channel string, data []byte) pubsub.ID {
	t.Helper()
	r := hub.Publish(context.Background(), []pubsub.Draft{{Channel: channel, Data: data}})[0]
	if r.Err != nil {
		t.Fatalf("publish %s: %v", data, r.Err)
	}
	return r.ID
}

// publishNumbers publishes numbers first to last and returns their IDs,
// indexed by number.
func publishNumbers(t *testing.T, hub *pubsub.Hub, channel string, first, last int) []pubsub.ID {
	t.Helper()
	ids := make([]pubsub.ID, last+1)
	for i := first; i <= last; i++ {
		ids[i] = publish(t, hub, channel, number(i))
	}
	return ids
}

// persist publishes until it is accepted: the store is away, or just back.
func persist(t *testing.T, hub *pubsub.Hub, channel string, data []byte) pubsub.ID {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		r := hub.Publish(ctx, []pubsub.Draft{{Channel: channel, Data: data, Key: "persist-" + string(data)}})[0]
		if r.Err == nil {
			return r.ID
		}
		if ctx.Err() != nil {
			t.Fatalf("publish %s: %v", data, r.Err)
		}
	}
}
