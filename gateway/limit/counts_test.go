package limit

import (
	"net/netip"
	"sync"
	"testing"
)

func TestCounts(t *testing.T) {
	c := NewCounts[string](2)
	for i, want := range []bool{true, true, false, false} {
		if got := c.Acquire("alice"); got != want {
			t.Errorf("alice, time %d: got %v", i+1, got)
		}
	}
	if !c.Acquire("bob") {
		t.Error("bob is refused for what alice has")
	}
	c.Release("alice")
	if !c.Acquire("alice") {
		t.Error("alice got none back")
	}
	for _, key := range []string{"alice", "bob", "alice"} {
		c.Release(key)
	}
	if len(c.byKey) != 0 {
		t.Errorf("remembers %v", c.byKey)
	}
}

func TestCountsNoLimit(t *testing.T) {
	c := NewCounts[string](0)
	for range 1000 {
		if !c.Acquire("alice") {
			t.Fatal("refused")
		}
	}
	c.Release("alice")
	if len(c.byKey) != 0 {
		t.Errorf("remembers %v", c.byKey)
	}
}

func TestCountsReleaseTooOften(t *testing.T) {
	c := NewCounts[string](1)
	c.Acquire("alice")
	c.Release("alice")
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	c.Release("alice")
}

func TestCountsTogether(t *testing.T) {
	const limit = 3
	c := NewCounts[int](limit)
	var mu sync.Mutex
	held := map[int]int{}
	add := func(key, n int) {
		mu.Lock()
		defer mu.Unlock()
		if held[key] += n; held[key] > limit {
			t.Errorf("%d of key %d", held[key], key)
		}
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for n := range 1000 {
				if key := n % 2; c.Acquire(key) {
					add(key, 1)
					add(key, -1)
					c.Release(key)
				}
			}
		})
	}
	all.Wait()
	if len(c.byKey) != 0 {
		t.Errorf("remembers %v", c.byKey)
	}
}

func TestCountsMemory(t *testing.T) {
	const streams = 15_000
	got := bytesFor(streams, func() any {
		c := NewCounts[netip.Addr](10)
		for n := range streams {
			c.Acquire(addressOf(n))
		}
		return c
	})
	t.Logf("%.0f bytes per stream", got)
	if got > 100 {
		t.Errorf("%.0f bytes per stream, want at most 100", got)
	}
}

func BenchmarkCounts(b *testing.B) {
	c := NewCounts[netip.Addr](10)
	for n := range 15_000 {
		c.Acquire(addressOf(n))
	}
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			key := addressOf(n % 30_000)
			c.Acquire(key)
			c.Release(key)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for n := 0; pb.Next(); n++ {
				key := addressOf(n % 30_000)
				if c.Acquire(key) {
					c.Release(key)
				}
			}
		})
	})
}
