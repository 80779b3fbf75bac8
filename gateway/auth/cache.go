package auth

import (
	"crypto/sha256"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// Sizes of the caches, in tokens.
const (
	// acceptedSize takes 20 MiB by BenchmarkCacheMemory. Clients that reconnect
	// mostly send the token that they sent before.
	acceptedSize = 1 << 15
	// refusedSize is smaller, as any client can fill it.
	refusedSize = 1 << 13
)

// refusedFor is how long a refusal is remembered. It bounds how often a client
// that repeats an invalid token costs a signature check.
const refusedFor = 10 * time.Second

// verdict is the result of judging a token. It never changes.
type verdict struct {
	principal *Principal // nil: the token was refused
	refusal   *Error     // nil: the token was accepted
	until     time.Time  // when the verdict expires; zero: never
	set       *keySet    // the fetched keys at the time of the verdict; nil: none
}

// tokenHash is the key of a token in a cache, so that no token stays in memory.
type tokenHash [sha256.Size]byte

func hashOf(token string) tokenHash { return sha256.Sum256([]byte(token)) }

// cache holds verdicts by token. It may be used concurrently.
type cache struct {
	verdicts *lru.Cache[tokenHash, *verdict]
}

func newCache(size int) *cache {
	verdicts, err := lru.New[tokenHash, *verdict](size)
	if err != nil {
		panic(err) // the size is positive
	}
	return &cache{verdicts}
}

// get returns nil if the token is not cached, if its verdict has expired, or if
// set is not the set of fetched keys at the time of the verdict: the token's key
// may have been withdrawn or published since.
func (c *cache) get(token tokenHash, set *keySet) *verdict {
	v, ok := c.verdicts.Get(token)
	if !ok || v.set != set || !v.until.IsZero() && !time.Now().Before(v.until) {
		return nil
	}
	return v
}

func (c *cache) put(token tokenHash, v *verdict) { c.verdicts.Add(token, v) }
