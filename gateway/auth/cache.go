package auth

import (
	"crypto/sha256"
	"sync"
)

// cacheSize is how many verified tokens are remembered at most, 16 MiB by
// BenchmarkCacheMemory: those who reconnect mostly come with the token they had.
const cacheSize = 1 << 15

// verified is a token of good signature. It never changes.
type verified struct {
	principal *Principal
	set       *keySet // the fetched keys that were known then; nil: none
}

// cache has verified tokens by their hash, so that no token stays in memory.
// It forgets in halves: when the newer one is full, the older one goes.
type cache struct {
	half int

	mu           sync.Mutex
	newer, older map[[sha256.Size]byte]*verified
}

func newCache(size int) *cache { return &cache{half: size / 2} }

// get is nil if token is not there, or was verified with other fetched keys
// than set: its key may have been withdrawn.
func (c *cache) get(token string, set *keySet) *Principal {
	hash := sha256.Sum256([]byte(token))
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.newer[hash]
	if !ok {
		if v, ok = c.older[hash]; ok {
			c.add(hash, v)
		}
	}
	if !ok || v.set != set {
		return nil
	}
	return v.principal
}

func (c *cache) put(token string, p *Principal, set *keySet) {
	hash := sha256.Sum256([]byte(token))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(hash, &verified{p, set})
}

// add needs mu.
func (c *cache) add(hash [sha256.Size]byte, v *verified) {
	if c.newer == nil || len(c.newer) >= c.half {
		c.older, c.newer = c.newer, make(map[[sha256.Size]byte]*verified)
	}
	c.newer[hash] = v
}
