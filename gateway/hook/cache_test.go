package hook

import (
	"net/netip"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

func asks(user string, channels ...string) *Question {
	return &Question{Action: Subscribe, User: user, Channels: channels, Address: netip.MustParseAddr("192.0.2.1")}
}

func TestCacheLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(100, nil)
		c.put(asks("alice", "a"), answer{allow: true, lifetime: 10 * time.Second})
		c.put(asks("alice", "b"), answer{reason: "no", lifetime: 5 * time.Second})
		c.put(asks("alice", "c"), answer{allow: true})
		time.Sleep(5*time.Second - time.Nanosecond)
		if unknown, denied := c.find(asks("alice", "a", "c")); denied != nil || !slices.Equal(unknown, []string{"c"}) {
			t.Errorf("got %v, %v", unknown, denied)
		}
		if _, denied := c.find(asks("alice", "a", "b", "c")); denied == nil || denied.Reason != "no" || denied.Channels[0] != "b" {
			t.Errorf("got %v", denied)
		}
		time.Sleep(time.Nanosecond)
		if unknown, denied := c.find(asks("alice", "b")); denied != nil || len(unknown) != 1 {
			t.Errorf("a no outlived its time: %v", denied)
		}
		time.Sleep(5 * time.Second)
		if unknown, _ := c.find(asks("alice", "a")); len(unknown) != 1 {
			t.Error("a yes outlived its time")
		}
	})
}

func TestCacheKeepsApart(t *testing.T) {
	yes := answer{allow: true, lifetime: time.Hour}
	known := func(c *cache, q *Question) bool {
		unknown, _ := c.find(q)
		return len(unknown) == 0
	}
	c := newCache(100, nil)
	c.put(asks("alice", "a"), yes)
	c.put(asks("", "a"), yes)
	elsewhere := asks("alice", "a")
	elsewhere.Address = netip.MustParseAddr("192.0.2.2")
	if !known(c, elsewhere) {
		t.Error("a user is not known at another address")
	}
	publish, key, stranger := asks("alice", "a"), asks("", "a"), asks("", "a")
	publish.Action, key.Key, stranger.Address = Publish, "alice", netip.MustParseAddr("192.0.2.2")
	for name, q := range map[string]*Question{
		"another user": asks("bob", "a"), "another channel": asks("alice", "b"), "another action": publish,
		"a key of the same name": key, "anonymous, at another address": stranger,
	} {
		if known(c, q) {
			t.Errorf("known for %s", name)
		}
	}
	c.put(asks("alice", "x", "y"), answer{lifetime: time.Hour})
	if unknown, denied := c.find(asks("alice", "x", "y")); denied != nil || len(unknown) != 2 {
		t.Errorf("a no to several was remembered for one: %v", denied)
	}
}

func TestCacheBound(t *testing.T) {
	c := newCache(8, nil)
	yes := answer{allow: true, lifetime: time.Hour}
	c.put(asks("kept", "a"), yes)
	for i := range 100 {
		c.put(asks(strconv.Itoa(i), "a"), yes)
		if n := c.answers.Len(); n > 8 {
			t.Fatalf("%d answers in a cache of 8", n)
		}
		if unknown, _ := c.find(asks("kept", "a")); len(unknown) > 0 {
			t.Fatalf("what is used was forgotten after %d others", i)
		}
	}
}
