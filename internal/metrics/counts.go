// Package metrics has what the parts of a node count and time themselves with.
// It knows no exporter: internal/server has that.
package metrics

import (
	"fmt"
	"slices"
	"sync/atomic"
)

// Counts counts by a few keys that are known from the start. It may be used
// concurrently, but what happens for each delivery wants a counter for each
// core instead.
type Counts[K ~string] struct {
	keys []K
	n    []atomic.Int64 // by index in keys
}

// NewCounts makes a Counts of these keys, all at zero.
func NewCounts[K ~string](keys ...K) *Counts[K] {
	return &Counts[K]{keys: keys, n: make([]atomic.Int64, len(keys))}
}

// Add adds n to key, which must be one of those that the Counts was made with.
func (c *Counts[K]) Add(key K, n int) {
	i := slices.Index(c.keys, key)
	if i < 0 {
		panic(fmt.Sprintf("metrics: %q is counted nowhere", key))
	}
	c.n[i].Add(int64(n))
}

// Stats is what was counted until now, of every key.
func (c *Counts[K]) Stats() map[K]int64 {
	all := make(map[K]int64, len(c.keys))
	for i, key := range c.keys {
		all[key] = c.n[i].Load()
	}
	return all
}
