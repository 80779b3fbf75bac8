package pubsub_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"comet/pubsub"
	"comet/pubsub/membroker"
)

// deafBroker is a broker whose relay can lose messages without a word.
type deafBroker struct {
	pubsub.Broker
	deaf atomic.Bool
}

func (b *deafBroker) Relay(ctx context.Context, s pubsub.Sink) error {
	return b.Broker.Relay(ctx, deafSink{s, &b.deaf})
}

type deafSink struct {
	pubsub.Sink
	deaf *atomic.Bool
}

func (s deafSink) Received(log string, m *pubsub.Message) {
	if !s.deaf.Load() {
		s.Sink.Received(log, m)
	}
}

// EachOpen reports each open channel, and not one that was closed.
func TestEachOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := membroker.New(membroker.Options{Size: 10, TTL: time.Hour, KeyWindow: time.Minute}).Node()
		hub := pubsub.NewHub(b, pubsub.Options{})
		defer b.Close()
		defer hub.Close()
		want := func(want ...string) {
			t.Helper()
			var open []string
			hub.EachOpen(func(channel string) { open = append(open, channel) })
			if slices.Sort(open); !slices.Equal(open, want) {
				t.Errorf("open are %q, want %q", open, want)
			}
		}
		want()
		var subs []*pubsub.Subscriber
		for _, channel := range []string{"a", "b", "a"} {
			s, err := hub.Subscribe(t.Context(), []pubsub.Start{{Channel: channel}})
			if err != nil {
				t.Fatal(err)
			}
			subs = append(subs, s)
		}
		want("a", "b")
		subs[0].Close()
		subs[1].Close()
		time.Sleep(time.Minute) // of the bubble
		want("a")
		subs[2].Close()
	})
}

// The sweep finds faults that no rule covers, here a message that the relay lost
// without noticing.
func TestSweep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &deafBroker{Broker: membroker.New(membroker.Options{Size: 10, TTL: time.Hour, KeyWindow: time.Minute}).Node()}
		hub := pubsub.NewHub(b, pubsub.Options{Sweep: 30 * time.Second})
		defer b.Close()
		defer hub.Close()
		s, err := hub.Subscribe(t.Context(), []pubsub.Start{{Channel: "c"}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		b.deaf.Store(true)
		receipt := hub.Publish(t.Context(), []pubsub.Draft{{Channel: "c", Data: []byte("1")}})[0]
		start := time.Now()
		items, err := s.Next(t.Context(), 10)
		if err != nil || len(items) != 1 || items[0].Message == nil || items[0].Message.ID != receipt.ID {
			t.Fatalf("got %+v, %v, want message %s", items, err, receipt.ID)
		}
		if took := time.Since(start); took > 30*time.Second {
			t.Errorf("found after %v", took)
		}
	})
}

// A channel is closed when it has been unused for Options.Linger, and subscribed
// again for a later subscriber.
func TestLinger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &countingBroker{Broker: membroker.New(membroker.Options{Size: 10, TTL: time.Hour, KeyWindow: time.Minute}).Node()}
		hub := pubsub.NewHub(b, pubsub.Options{Linger: 5 * time.Second})
		defer b.Close()
		defer hub.Close()
		visit := func() {
			s, err := hub.Subscribe(t.Context(), []pubsub.Start{{Channel: "c"}})
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
		}
		visit()
		time.Sleep(4 * time.Second) // of bubble time
		visit()
		if n := b.unsubscribed.Load(); n != 0 {
			t.Errorf("let go of %d times within the linger", n)
		}
		time.Sleep(11 * time.Second)
		if n := b.unsubscribed.Load(); n != 1 {
			t.Errorf("let go of %d times after the linger, want once", n)
		}
		visit()
	})
}

// countingBroker counts Unsubscribe.
type countingBroker struct {
	pubsub.Broker
	unsubscribed atomic.Int64
}

func (b *countingBroker) Unsubscribe(channels ...string) {
	b.unsubscribed.Add(int64(len(channels)))
	b.Broker.Unsubscribe(channels...)
}
