package limit

import "sync"

// Counts counts what each key has at a time. It may be used concurrently. A key
// that has something takes at most 90 bytes (TestCountsMemory), others nothing.
type Counts[K comparable] struct {
	limit int

	mu   sync.Mutex
	held map[K]int32 // none is 0
}

// NewCounts makes a Counts that allows limit of each key; 0: any number, which
// it does not count.
func NewCounts[K comparable](limit int) *Counts[K] {
	return &Counts[K]{limit: limit, held: make(map[K]int32)}
}

// Acquire counts one more of key, if there may be one more. Each that was
// counted needs one Release.
//
// It gives no function to release with, because a caller with several Counts
// would keep one of each, and needs only one for all.
func (c *Counts[K]) Acquire(key K) bool {
	if c.limit <= 0 {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.held[key]
	if int(n) >= c.limit {
		return false
	}
	c.held[key] = n + 1
	return true
}

// Release counts one less of key.
func (c *Counts[K]) Release(key K) {
	if c.limit <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch n := c.held[key]; n {
	case 0:
		panic("limit: a Release without its Acquire")
	case 1:
		delete(c.held, key)
	default:
		c.held[key] = n - 1
	}
}
