package pubsub_test

import (
	"testing"
	"testing/synctest"
	"time"

	"comet/pubsub"
	"comet/pubsub/membroker"
)

// An observer is not counted as a subscriber that resumes.
func TestStatsOfObservers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := membroker.New(membroker.Options{Size: 10, TTL: time.Hour, KeyWindow: time.Minute}).Node()
		defer b.Close()
		hub := pubsub.NewHub(b, pubsub.Options{})
		defer hub.Close()
		hub.Publish(t.Context(), []pubsub.Draft{{Channel: "c", Data: []byte("1")}, {Channel: "c"}})
		if got := hub.Published(); got != 1 {
			t.Errorf("published %d, want 1: the other one is invalid", got)
		}
		resumes := func() (n int64) {
			for _, count := range hub.Stats().Resumes {
				n += count
			}
			return n
		}
		starts := []pubsub.Start{{Channel: "c", From: pubsub.From{Earliest: true}}}
		for want, begin := range []func() (*pubsub.Subscriber, error){
			func() (*pubsub.Subscriber, error) { return hub.SubscribeUncounted(t.Context(), starts) },
			func() (*pubsub.Subscriber, error) { return hub.Subscribe(t.Context(), starts) },
		} {
			s, err := begin()
			if err != nil {
				t.Fatal(err)
			}
			if got := resumes(); got != int64(want) {
				t.Errorf("%d resumed, want %d", got, want)
			}
			s.Close()
		}
	})
}
