package redisbroker_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"comet/pubsub"
)

// listener is one subscriber of one channel.
type listener struct {
	t       *testing.T
	name    string
	channel string
	start   pubsub.Cursor

	mu    sync.Mutex
	items []pubsub.Item
	grown chan struct{} // closed and replaced when items has grown
}

// listen starts a listener, which has subscribed at the first of hubs when listen returns.
// Unless visit is 0, it unsubscribes after that number of items and resumes at the next
// hub with its cursor.
func listen(t *testing.T, name, channel string, visit int, hubs ...*pubsub.Hub) *listener {
	t.Helper()
	return begin(t, name, pubsub.Start{Channel: channel}, visit, hubs)
}

// listenFrom is listen with a cursor to start at.
func listenFrom(t *testing.T, name, channel string, at pubsub.Cursor, visit int, hubs ...*pubsub.Hub) *listener {
	t.Helper()
	return begin(t, name, pubsub.Start{Channel: channel, From: pubsub.From{Cursor: &at}}, visit, hubs)
}

func begin(t *testing.T, name string, start pubsub.Start, visit int, hubs []*pubsub.Hub) *listener {
	t.Helper()
	l := &listener{t: t, name: name, channel: start.Channel, grown: make(chan struct{})}
	var sub *pubsub.Subscriber
	await(t, name+" has subscribed", func() (ok bool) {
		var err error
		if sub, err = hubs[0].Subscribe(t.Context(), []pubsub.Start{start}); err != nil && !errors.Is(err, pubsub.ErrUnavailable) {
			t.Fatalf("%s: %v", name, err) // else it may try again, as after a 503
		}
		return err == nil
	})
	l.start = sub.StartCursors()[0]
	ctx, stop := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { l.run(ctx, sub, visit, hubs) })
	t.Cleanup(func() {
		stop()
		done.Wait()
	})
	return l
}

func (l *listener) run(ctx context.Context, sub *pubsub.Subscriber, visit int, hubs []*pubsub.Hub) {
	at := l.start
	for turn := 1; ctx.Err() == nil; turn++ {
		for taken := 0; visit == 0 || taken < visit; {
			got, err := sub.Next(ctx, 100)
			if err != nil {
				break
			}
			for _, d := range got {
				l.add(d.Item)
				at = d.After
			}
			taken += len(got)
		}
		sub.Close()
		var err error
		for sub, err = subscribe(ctx, hubs[turn%len(hubs)], l.channel, at); err != nil; {
			if ctx.Err() != nil {
				return
			}
			sub, err = subscribe(ctx, hubs[turn%len(hubs)], l.channel, at)
		}
	}
	sub.Close()
}

func subscribe(ctx context.Context, hub *pubsub.Hub, channel string, at pubsub.Cursor) (*pubsub.Subscriber, error) {
	return hub.Subscribe(ctx, []pubsub.Start{{Channel: channel, From: pubsub.From{Cursor: &at}}})
}

func (l *listener) add(it pubsub.Item) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.items = append(l.items, it)
	close(l.grown)
	l.grown = make(chan struct{})
}

// until waits until enough returns true for the items.
func (l *listener) until(what string, enough func([]pubsub.Item) bool) {
	l.t.Helper()
	late := time.After(patience)
	for {
		l.mu.Lock()
		items, grown := l.items, l.grown
		l.mu.Unlock()
		if enough(items) {
			return
		}
		select {
		case <-grown:
		case <-late:
			l.t.Fatalf("%s: waited %v for %s; got %d items, gaps %v", l.name, patience, what, len(items), gaps(items))
		}
	}
}

// awaitID waits until the listener is at the message id or after it.
func (l *listener) awaitID(id pubsub.ID) {
	l.t.Helper()
	if id.IsZero() {
		return
	}
	l.until("message "+id.String(), func(items []pubsub.Item) bool {
		return slices.ContainsFunc(items, func(it pubsub.Item) bool { return it.After.Last() == id })
	})
}

func gaps(items []pubsub.Item) (all []pubsub.Gap) {
	for _, it := range items {
		if it.Gap != nil {
			all = append(all, *it.Gap)
		}
	}
	return all
}

func (l *listener) judge(log map[pubsub.ID]bool, reasons []pubsub.Reason) {
	l.t.Helper()
	at, had := l.start.Last(), make(map[pubsub.ID]bool)
	var reported []pubsub.Reason
	lacking := "" // description of an item that does not follow the one before it
	for _, it := range l.items {
		switch {
		case it.Gap != nil:
			if it.Gap.From != at || it.Gap.To != it.After.Last() {
				l.t.Errorf("%s: gap %+v, but it goes from %v to %v", l.name, *it.Gap, at, it.After.Last())
			}
			reported, lacking = append(reported, it.Gap.Reason), ""
		case had[it.Message.ID]:
			l.t.Errorf("%s: %v came twice", l.name, it.Message.ID)
		default:
			if it.Message.Prev != at {
				l.t.Errorf("%s: %v follows %v, but it is at %v", l.name, it.Message.ID, it.Message.Prev, at)
			}
			had[it.Message.ID] = true
			if !log[it.Message.ID] {
				lacking = it.Message.ID.String()
			}
		}
		at = it.After.Last()
	}
	if lacking != "" {
		l.t.Errorf("%s: got %s, which is not in the log and not in a gap", l.name, lacking)
	}
	if !slices.Equal(reported, reasons) {
		l.t.Errorf("%s: got gaps %v, want %v", l.name, gaps(l.items), reasons)
	}
	missing := 0
	for id := range log {
		if !had[id] && id.Compare(l.start.ID) > 0 {
			missing++
		}
	}
	if missing > 0 {
		l.t.Errorf("%s: lacks %d messages of the log's %d", l.name, missing, len(log))
	}
}
