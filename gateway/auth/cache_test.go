package auth

import (
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestCache(t *testing.T) {
	c := newCache(8)
	v, kept := &verdict{principal: &Principal{User: "alice"}, set: &keySet{}}, hashOf("kept")
	c.put(kept, v)
	for i := range 100 {
		c.put(hashOf(strconv.Itoa(i)), v)
		if n := c.verdicts.Len(); n > 8 {
			t.Fatalf("%d tokens in a cache of 8", n)
		}
		if c.get(kept, v.set) != v {
			t.Fatalf("what is used was forgotten after %d others", i)
		}
	}
	if c.get(hashOf("0"), v.set) != nil {
		t.Error("what is not used was kept")
	}
	if c.get(kept, nil) != nil || c.get(kept, &keySet{}) != nil {
		t.Error("the keys are others, but the token still counts")
	}
}

func TestCacheForgetsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, token := newCache(8), hashOf("a")
		c.put(token, &verdict{until: time.Now().Add(time.Second)})
		if c.get(token, nil) == nil {
			t.Error("forgotten at once")
		}
		time.Sleep(time.Second)
		if c.get(token, nil) != nil {
			t.Error("not forgotten")
		}
	})
}

func TestCacheConcurrently(t *testing.T) {
	c := newCache(16)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 1000 {
				name := strconv.Itoa(i % 40)
				c.put(hashOf(name), &verdict{principal: &Principal{User: name}})
				if v := c.get(hashOf(name), nil); v != nil && v.principal.User != name {
					t.Errorf("%s is %s", name, v.principal.User)
				}
			}
		})
	}
	all.Wait()
}
