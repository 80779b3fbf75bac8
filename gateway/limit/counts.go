package limit

import "sync"

// Counts counts what each key holds at a time. It may be used concurrently. A key that
// holds something takes at most 90 bytes (TestCountsMemory), others nothing.
type Counts[K comparable] struct {
	limit int
	*held[K]
}

// held holds the counts. Counts with different limits share it.
type held[K comparable] struct {
	mu    sync.Mutex
	byKey map[K]int32 // none is 0
}

// NewCounts makes Counts that allow limit per key. With 0 they neither limit nor
// count.
func NewCounts[K comparable](limit int) *Counts[K] {
	return &Counts[K]{limit, &held[K]{byKey: make(map[K]int32)}}
}

// withLimit returns Counts with another limit that share the counts of c. Keys over
// the limit keep what they hold, and get no more. If c has no limit, nothing was
// counted and the counts begin at zero.
func (c *Counts[K]) withLimit(limit int) *Counts[K] {
	if c.limit <= 0 || limit <= 0 {
		return NewCounts[K](limit)
	}
	return &Counts[K]{limit, c.held}
}

// Acquire counts one more for key, unless the limit is reached. Each success needs one
// Release.
//
// It returns no release function, as a caller with several Counts would have to keep
// one for each.
func (c *Counts[K]) Acquire(key K) bool {
	if c.limit <= 0 {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.byKey[key]
	if int(n) >= c.limit {
		return false
	}
	c.byKey[key] = n + 1
	return true
}

// Release counts one less for key.
func (c *Counts[K]) Release(key K) {
	if c.limit <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch n := c.byKey[key]; n {
	case 0:
		panic("limit: a Release without its Acquire")
	case 1:
		delete(c.byKey, key)
	default:
		c.byKey[key] = n - 1
	}
}
