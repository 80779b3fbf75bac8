package pubsub_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"comet/pubsub"
)

// While the takeover of a primary is not confirmed, streams of its channels stay
// and new ones are refused after some seconds, wherever they would begin: they
// would get nothing, and no gap. Other channels go on.
func TestUnconfirmedTakeover(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, hub := newTroubled(t)
		stays := subscribe(t, hub, pubsub.Start{Channel: "far/a"})
		defer stays.Close()
		at := pubsub.CursorAfter(publishData(t, hub, "far/a", []byte("1")))
		if _, err := stays.Next(t.Context(), 10); err != nil {
			t.Fatal(err)
		}
		starts := []pubsub.Start{{Channel: "far/a", From: pubsub.From{Cursor: &at}}, {Channel: "far/a"}}
		b.setDoubtful(true)
		b.breakRelay("far/a")
		last := publishData(t, hub, "far/a", []byte("2"))
		time.Sleep(time.Second)
		for _, start := range starts { // as in any takeover
			subscribe(t, hub, start).Close()
		}
		time.Sleep(2 * time.Second)
		for _, start := range starts {
			if s, err := hub.Subscribe(t.Context(), []pubsub.Start{start}); !errors.Is(err, pubsub.ErrUnconfirmed) {
				t.Errorf("subscribe %+v: %v, %v", start, s, err)
			}
			if _, _, _, ok := hub.TryAcquire(start); ok {
				t.Errorf("attached %+v", start)
			}
		}
		wantGoesOn(t, hub, "near")
		b.setDoubtful(false)
		if items, err := stays.Next(t.Context(), 10); err != nil || len(items) != 1 || items[0].Message.ID != last {
			t.Errorf("once it is confirmed: %+v, %v", items, err)
		}
		for _, start := range starts {
			subscribe(t, hub, start).Close()
		}
	})
}
