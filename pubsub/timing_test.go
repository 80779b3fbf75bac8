package pubsub

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestTiming takes the steps of publishes and of the relay one by one.
func TestTiming(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all timing
		open := func(channel string) bool { return channel != "closed" }
		begin := func(channel, data string) *followed {
			return all.begin(&Draft{Channel: channel, Type: "message", Data: []byte(data)}, open)
		}
		arrives := func(channel, data string) (timed bool) {
			m := &Message{Channel: channel, Type: "message", Data: []byte(data)}
			got := all.arrived(m)
			if m.PublishStart() != nil {
				t.Error("a message that others have was changed")
			}
			return got.PublishStart() != nil
		}
		if begin("closed", "1") != nil {
			t.Error("follows what the relay does not carry here")
		}
		if arrives("news", "1") {
			t.Error("took the time of a message that is not followed")
		}
		first := begin("news", "1")
		if first == nil || begin("news", "2") != nil {
			t.Fatal("does not follow one message at a time")
		}
		time.Sleep(3 * time.Millisecond)
		if arrives("news", "2") || arrives("sport", "1") {
			t.Error("took another message for the one that is followed")
		}
		if !arrives("news", "1") || arrives("news", "1") {
			t.Error("did not take the time of the one that is followed, once")
		}
		if got := all.relay.Stats(); got.Counts[2] != 1 || got.Sum != 3*time.Millisecond {
			t.Errorf("3 ms are %v", got)
		}

		for name, r := range map[string]Receipt{"repeated": {Duplicate: true}, "failed": {Err: errors.New("x")}} {
			all.end(begin("news", name), &r)
			if arrives("news", name) {
				t.Errorf("%s: still followed", name)
			}
		}
		f := begin("news", "published")
		all.end(f, &Receipt{})
		if !arrives("news", "published") {
			t.Error("forgotten before it came")
		}

		begin("news", "lost")
		time.Sleep(followTime)
		if begin("news", "next") == nil || arrives("news", "lost") || !arrives("news", "next") {
			t.Error("one that never comes is waited for for ever")
		}
	})
}
