package metrics

import (
	"sync"
	"testing"
	"time"
)

func TestCounts(t *testing.T) {
	c := NewCounts("a", "b")
	if got := c.Stats(); len(got) != 2 || got["a"] != 0 || got["b"] != 0 {
		t.Errorf("at the start: %v", got)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 1000 {
				c.Add("b", 2)
			}
		})
	}
	all.Wait()
	if got := c.Stats(); got["a"] != 0 || got["b"] != 8000 {
		t.Errorf("counted %v", got)
	}
	defer func() {
		if recover() == nil {
			t.Error("an unknown key is counted")
		}
	}()
	c.Add("c", 1)
}

func TestLatency(t *testing.T) {
	last := len(LatencyBounds) - 1
	for _, test := range []struct {
		took   time.Duration
		bucket int
	}{
		{-time.Second, 0}, {0, 0}, {time.Millisecond, 0},
		{time.Millisecond + 1, 1}, {2 * time.Millisecond, 1},
		{LatencyBounds[last], last}, {LatencyBounds[last] + 1, last + 1}, {time.Hour, last + 1},
	} {
		var l Latency
		l.Observe(test.took)
		var want LatencyStats
		want.Counts[test.bucket], want.Sum = 1, test.took
		if got := l.Stats(); got != want {
			t.Errorf("%v: %v", test.took, got)
		}
	}
}
