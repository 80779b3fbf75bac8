package limit

import "sync"

// Counts counts what each key has at a time. It may be used concurrently. A key
// that has something takes at most 90 bytes (TestCountsMemory), others nothing.
type Counts[K comparable] struct {
	limit int
	*held[K]
}

// held is what has been counted, for every Counts that goes on with it.
type held[K comparable] struct {
	mu    sync.Mutex
	byKey map[K]int32 // none is 0
}

// NewCounts makes a Counts that allows limit of each key; 0: any number, which
// it does not count.
func NewCounts[K comparable](limit int) *Counts[K] {
	return &Counts[K]{limit, &held[K]{byKey: make(map[K]int32)}}
}

// withLimit is a Counts with another limit that goes on with what c has
// counted. Who has more than the limit keeps it, and gets no more. What a Counts
// without limit let in was not counted, and is not.
func (c *Counts[K]) withLimit(limit int) *Counts[K] {
	if c.limit <= 0 || limit <= 0 {
		return NewCounts[K](limit)
	}
	return &Counts[K]{limit, c.held}
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
	n := c.byKey[key]
	if int(n) >= c.limit {
		return false
	}
	c.byKey[key] = n + 1
	return true
}

// Release counts one less of key.
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
