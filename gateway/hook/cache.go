package hook

import (
	"sync"
	"time"
)

// cacheKey is what an answer was about.
type cacheKey struct {
	action  Action
	who     who
	channel string
}

// remembered is an answer about one channel. It never changes.
type remembered struct {
	allow  bool
	reason string
	until  time.Time
}

// cache has answers for as long as they say, unless there are too many. It
// forgets in halves: when the newer one is full, the older one goes.
type cache struct {
	half int

	mu           sync.Mutex
	newer, older map[cacheKey]remembered
}

func newCache(size int) *cache { return &cache{half: max(1, size/2)} }

// find is what is known of q: the channels that nothing is known of, and the
// first of which it is known that q is denied.
func (c *cache) find(q *Question) (unknown []string, denied *Denied) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, channel := range q.Channels {
		r, ok := c.get(cacheKey{q.Action, q.who(), channel}, now)
		switch {
		case !ok:
			unknown = append(unknown, channel)
		case !r.allow:
			return nil, &Denied{q.Action, []string{channel}, r.reason}
		}
	}
	return unknown, nil
}

// get needs mu.
func (c *cache) get(k cacheKey, now time.Time) (remembered, bool) {
	r, ok := c.newer[k]
	if !ok {
		if r, ok = c.older[k]; ok && now.Before(r.until) {
			c.add(k, r)
		}
	}
	return r, ok && now.Before(r.until)
}

// put remembers a for each channel of q. A no to several does not say to which
// of them, and is not remembered.
func (c *cache) put(q *Question, a answer) {
	if a.lifetime == 0 || !a.allow && len(q.Channels) > 1 {
		return
	}
	r := remembered{a.allow, a.reason, time.Now().Add(a.lifetime)}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, channel := range q.Channels {
		c.add(cacheKey{q.Action, q.who(), channel}, r)
	}
}

// add needs mu.
func (c *cache) add(k cacheKey, r remembered) {
	if _, has := c.newer[k]; !has && (c.newer == nil || len(c.newer) >= c.half) {
		c.older, c.newer = c.newer, make(map[cacheKey]remembered)
	}
	c.newer[k] = r
}
