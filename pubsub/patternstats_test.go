package pubsub_test

import (
	"testing"
	"testing/synctest"
	"time"

	"comet/pubsub"
	"comet/pubsub/membroker"
)

// Subscribers of a pattern are counted by the pattern, and its index logs by nothing.
func TestPatternStats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		index, err := pubsub.NewIndex([]pubsub.IndexRule{{Match: "a/**", Logs: 2}, {Match: "b/**", Logs: 2}})
		if err != nil {
			t.Fatal(err)
		}
		b := membroker.New(membroker.Options{Size: 10, TTL: time.Hour, KeyWindow: time.Minute, Index: index}).Node()
		defer b.Close()
		opened := 0
		hub := pubsub.NewHub(b, pubsub.Options{Index: index, OnOpened: func(string) { opened++ }})
		defer hub.Close()
		p, err := hub.Pattern("b/*")
		if err != nil || len(p.Logs) != 2 {
			t.Fatalf("b/* follows %q, %v; want the logs of its rule alone", p.Logs, err)
		}
		s, err := hub.Subscribe(t.Context(), pubsub.StartsOf(&pubsub.Filter{Pattern: p}, pubsub.From{}))
		if err != nil {
			t.Fatal(err)
		}
		top, _ := hub.Busiest(10, func(string) bool { return true })
		if len(top) != 1 || top[0] != (pubsub.Audience{Channel: "b/*", Subscribers: 1}) || hub.Stats().PatternSubscribers != 1 || opened != 0 {
			t.Errorf("busiest %v, %d subscribers, %d channels opened", top, hub.Stats().PatternSubscribers, opened)
		}
		s.Close()
		if hub.Stats().PatternSubscribers != 0 {
			t.Error("it is still counted")
		}
		for _, text := range []string{"c/*", "**", "a**", "{a}*"} {
			if p, err := hub.Pattern(text); err == nil {
				t.Errorf("%s follows %q", text, p.Logs)
			}
		}
	})
}
