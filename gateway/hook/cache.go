package hook

import (
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// cacheKey is the subject of an answer.
type cacheKey struct {
	action   Action
	identity identity
	headers  sum
	channel  string
}

// remembered is an answer about one channel. It never changes.
type remembered struct {
	allow  bool
	reason string
	until  time.Time
}

// cache holds answers until they expire, or until newer ones need their place. It
// may be used concurrently.
type cache struct {
	answers *lru.Cache[cacheKey, remembered]
	headers []string // AskerOptions.Headers
}

// newCache makes a cache of size answers that depend on some headers.
func newCache(size int, headers []string) *cache {
	answers, err := lru.New[cacheKey, remembered](max(1, size))
	if err != nil {
		panic(err) // the size is positive
	}
	return &cache{answers, headers}
}

// key returns the subject of an answer to q about one of its channels, which the
// caller sets.
func (c *cache) key(q *Question) cacheKey {
	return cacheKey{action: q.Action, identity: q.identity(), headers: q.headersSum(c.headers)}
}

// find returns the channels of q without an answer, or the first denial.
func (c *cache) find(q *Question) (unknown []string, denied *Denied) {
	now, key := time.Now(), c.key(q)
	for _, channel := range q.Channels {
		key.channel = channel
		r, ok := c.answers.Get(key)
		switch {
		case !ok || !now.Before(r.until):
			unknown = append(unknown, channel)
		case !r.allow:
			return nil, &Denied{q.Action, []string{channel}, r.reason}
		}
	}
	return unknown, nil
}

// put remembers a for each channel of q. A denial of several channels does not say
// which of them is denied, and is not remembered.
func (c *cache) put(q *Question, a answer) {
	if a.lifetime == 0 || !a.allow && len(q.Channels) > 1 {
		return
	}
	r := remembered{a.allow, a.reason, time.Now().Add(a.lifetime)}
	key := c.key(q)
	for _, channel := range q.Channels {
		key.channel = channel
		c.answers.Add(key, r)
	}
}
