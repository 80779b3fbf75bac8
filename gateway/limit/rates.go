package limit

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rate is how often something may happen.
type Rate struct {
	PerSecond float64 // on average; 0: no limit
	Burst     int     // at once; 0: what a second brings, at least 1
}

// DefaultKeys is how many keys a Rates remembers unless told. Each takes about
// 250 bytes (TestRatesMemory).
const DefaultKeys = 100_000

// Rates has a token bucket for each key. It may be used concurrently. Its one
// lock is enough: an AllowN takes 170 ns, a third of it the clock, or 220 ns while
// a second core does nothing else (BenchmarkRates on 2 noisy cores); a request
// takes a hundred times that.
type Rates[K comparable] struct {
	limit rate.Limit
	burst int
	keys  int

	mu      sync.Mutex // guards all below
	buckets map[K]*bucket[K]
	ends    bucket[K] // of the ring of buckets: its newer is the oldest, its older the newest
	pardons int64
}

// bucket is in a ring, by when it was last asked.
type bucket[K comparable] struct {
	key          K
	limiter      *rate.Limiter
	older, newer *bucket[K]
}

// NewRates makes a Rates that remembers at most so many keys; 0: DefaultKeys.
//
// A bucket that is full again says nothing, and is forgotten as others come. If
// too many are not full, a new key takes the place of the one that was not
// asked for longest, which is thereby pardoned what it had used. So who has
// more keys than that can do no more than with a bucket for each, and nobody is
// refused for what others do.
func NewRates[K comparable](r Rate, keys int) *Rates[K] {
	if keys <= 0 {
		keys = DefaultKeys
	}
	burst := r.Burst
	if burst <= 0 {
		burst = max(1, int(r.PerSecond))
	}
	rates := &Rates[K]{limit: rate.Limit(r.PerSecond), burst: burst, keys: keys, buckets: make(map[K]*bucket[K])}
	rates.ends.older, rates.ends.newer = &rates.ends, &rates.ends
	return rates
}

// withRate is r itself if that is its rate already, and else one with new
// buckets that goes on counting pardons.
func (r *Rates[K]) withRate(rate Rate, keys int) *Rates[K] {
	n := NewRates[K](rate, keys)
	if n.limit == r.limit && n.burst == r.burst && n.keys == r.keys {
		return r
	}
	n.pardons = r.Pardons()
	return n
}

// AllowN takes n from key's bucket. If ok is false it took nothing, and wait says
// when there will be enough, if nobody else takes of it. More than a burst
// needs a full bucket, and leaves a debt: the average stays.
func (r *Rates[K]) AllowN(key K, n int) (wait time.Duration, ok bool) {
	if r.limit <= 0 {
		return 0, true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now() // in the lock: a limiter that sees the time go back fills twice
	limiter := r.use(key, now).limiter
	first := min(n, r.burst)
	if !limiter.AllowN(now, first) {
		reservation := limiter.ReserveN(now, first)
		defer reservation.CancelAt(now)
		return reservation.DelayFrom(now), false
	}
	for n -= first; n > 0; n -= r.burst {
		limiter.ReserveN(now, min(n, r.burst))
	}
	return 0, true
}

// Pardons is how many keys were forgotten though their bucket was not full.
func (r *Rates[K]) Pardons() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pardons
}

// use finds or makes key's bucket, now the newest.
func (r *Rates[K]) use(key K, now time.Time) *bucket[K] {
	b := r.buckets[key]
	if b == nil {
		r.makeRoom(now)
		b = &bucket[K]{key: key, limiter: rate.NewLimiter(r.limit, r.burst)}
		r.buckets[key] = b
	} else {
		b.unlink()
	}
	b.older, b.newer = r.ends.older, &r.ends
	b.older.newer, b.newer.older = b, b
	return b
}

// makeRoom is for one more key. It forgets up to two that are full, so that
// after a crowd there are fewer with every new one.
func (r *Rates[K]) makeRoom(now time.Time) {
	for range 2 {
		oldest := r.ends.newer
		if oldest == &r.ends || oldest.limiter.TokensAt(now) < float64(r.burst) {
			break
		}
		r.forget(oldest)
	}
	if len(r.buckets) >= r.keys {
		r.forget(r.ends.newer)
		r.pardons++
	}
}

func (r *Rates[K]) forget(b *bucket[K]) {
	b.unlink()
	delete(r.buckets, b.key)
}

func (b *bucket[K]) unlink() { b.older.newer, b.newer.older = b.newer, b.older }

// RetryAfter is wait in whole seconds, rounded up, and at least 1.
func RetryAfter(wait time.Duration) int {
	return int(max(1, (wait+time.Second-1)/time.Second))
}
