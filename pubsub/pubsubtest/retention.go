package pubsubtest

import (
	"sync/atomic"
	"testing"
	"time"

	"comet/pubsub"
)

// Each channel is kept as long, and as much of it, as Retention says.
func testRetention(t *testing.T, newCluster New) {
	c := newCluster(t, Options{Retention: func(channel string) (int, time.Duration) {
		switch channel {
		case "little":
			return 100, time.Hour
		case "brief":
			return 10_000, time.Second
		}
		return 10_000, time.Hour
	}})
	a, b := node(t, c), node(t, c)
	much := publishNumbers(t, a, "much", 0, 499)
	little := publishNumbers(t, a, "little", 0, 499)
	brief := publishNumbers(t, a, "brief", 0, 4)
	wantNumbers(t, readFrom(t, b, "much", pubsub.CursorAfter(much[3])).message(number(499)), 4, 499, nil)
	wantGap(t, readFrom(t, b, "little", pubsub.CursorAfter(little[3])).gap(1), pubsub.Trimmed, little[3], oldest(t, b, "little").Prev)
	if first := oldest(t, b, "much"); first.ID != much[0] {
		t.Errorf("the oldest kept is %s, want the first", first.Data)
	}
	awaitEmpty(t, a, "brief")
	wantGap(t, readFrom(t, b, "brief", pubsub.CursorAfter(brief[2])).gap(1), pubsub.Restarted, brief[2], pubsub.ID{})
	wantNumbers(t, readFrom(t, a, "much", pubsub.CursorAfter(much[3])).message(number(499)), 4, 499, nil)
}

// A change of Retention counts as of the next publish. Live subscribers miss
// nothing; those that come back to a shorter log get a gap.
func testRetentionChanges(t *testing.T, newCluster New) {
	type retention struct {
		size int
		ttl  time.Duration
	}
	var now atomic.Pointer[retention]
	now.Store(&retention{10_000, time.Hour})
	c := newCluster(t, Options{Retention: func(string) (int, time.Duration) {
		r := now.Load()
		return r.size, r.ttl
	}})
	a, b := node(t, c), node(t, c)
	live := read(t, a, "c", pubsub.From{})
	ids := publishNumbers(t, a, "c", 0, 499)
	now.Store(&retention{100, time.Hour})
	if first := oldest(t, b, "c"); first.ID != ids[0] {
		t.Errorf("trimmed to %s before a publish", first.Data)
	}
	publish(t, b, "c", number(500))
	less := oldest(t, b, "c")
	wantGap(t, readFrom(t, b, "c", pubsub.CursorAfter(ids[3])).gap(1), pubsub.Trimmed, ids[3], less.Prev)
	now.Store(&retention{10_000, time.Hour})
	publishNumbers(t, b, "c", 501, 799)
	if first := oldest(t, b, "c"); first.ID != less.ID {
		t.Errorf("trimmed to %s, want still %s", first.Data, less.Data)
	}
	now.Store(&retention{10_000, time.Second})
	publish(t, b, "c", number(800))
	awaitEmpty(t, b, "c")
	publish(t, b, "c", number(801))
	wantNumbers(t, live.message(number(801)), 0, 801, nil)
}

// oldest is the oldest message that is kept.
func oldest(t *testing.T, hub *pubsub.Hub, channel string) *pubsub.Message {
	t.Helper()
	page, err := hub.Read(t.Context(), pubsub.Query{Channel: channel, Limit: 1})
	if err != nil || len(page.Messages) == 0 {
		t.Fatalf("the oldest of %s: %d messages, %v", channel, len(page.Messages), err)
	}
	return page.Messages[0]
}
