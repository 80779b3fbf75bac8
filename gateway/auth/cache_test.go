package auth

import (
	"strconv"
	"sync"
	"testing"
)

func TestCache(t *testing.T) {
	c := newCache(8)
	p, set := &Principal{User: "alice"}, &keySet{}
	c.put("kept", p, set)
	for i := range 100 {
		c.put(strconv.Itoa(i), p, set)
		if n := len(c.newer) + len(c.older); n > 8 {
			t.Fatalf("%d tokens in a cache of 8", n)
		}
		if c.get("kept", set) != p {
			t.Fatalf("what is used was forgotten after %d others", i)
		}
	}
	if c.get("0", set) != nil {
		t.Error("what is not used was kept")
	}
	if c.get("kept", nil) != nil || c.get("kept", &keySet{}) != nil {
		t.Error("the keys are others, but the token still counts")
	}
}

func TestCacheConcurrently(t *testing.T) {
	c := newCache(16)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 1000 {
				name := strconv.Itoa(i % 40)
				c.put(name, &Principal{User: name}, nil)
				if p := c.get(name, nil); p != nil && p.User != name {
					t.Errorf("%s is %s", name, p.User)
				}
			}
		})
	}
	all.Wait()
}
