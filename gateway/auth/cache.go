package auth

import (
	"crypto/sha256"
	"sync"
	"time"
)

// Sizes of the caches, in tokens.
const (
	// acceptedSize is 16 MiB by BenchmarkCacheMemory: clients that reconnect
	// mostly show the token that they had.
	acceptedSize = 1 << 15
	// refusedSize is less, as any sender can fill it.
	refusedSize = 1 << 13
)

// refusedFor is how long a refusal is remembered: a client that shows a bad
// token again and again costs a signature only so often.
const refusedFor = 10 * time.Second

// verdict is what became of a token. It never changes.
type verdict struct {
	principal *Principal // nil: it was refused
	refusal   *Error     // nil: it was accepted
	until     time.Time  // when the verdict is forgotten; zero: never
	set       *keySet    // the fetched keys that were known then; nil: none
}

// tokenHash is what a token is found by, so that none stays in memory.
type tokenHash [sha256.Size]byte

func hashOf(token string) tokenHash { return sha256.Sum256([]byte(token)) }

// cache has verdicts by token. It forgets in halves: when the newer one is full,
// the older one goes.
type cache struct {
	half int

	mu           sync.Mutex
	newer, older map[tokenHash]*verdict
}

func newCache(size int) *cache { return &cache{half: size / 2} }

// get is nil if the token is not there, if its verdict is too old, or if it was
// judged with other fetched keys than set: its key may have been withdrawn, or
// published.
func (c *cache) get(token tokenHash, set *keySet) *verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.newer[token]
	if !ok {
		if v, ok = c.older[token]; ok {
			c.add(token, v)
		}
	}
	if !ok || v.set != set || !v.until.IsZero() && !time.Now().Before(v.until) {
		return nil
	}
	return v
}

func (c *cache) put(token tokenHash, v *verdict) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(token, v)
}

// add needs mu.
func (c *cache) add(token tokenHash, v *verdict) {
	if c.newer == nil || len(c.newer) >= c.half {
		c.older, c.newer = c.newer, make(map[tokenHash]*verdict)
	}
	c.newer[token] = v
}
