package limit

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rate is a rate limit.
type Rate struct {
	PerSecond float64 // on average; 0: no limit
	Burst     int     // at once; 0: as much as per second, at least 1
}

// DefaultKeys is the default number of keys that Rates remember. Each takes about 250
// bytes (TestRatesMemory).
const DefaultKeys = 100_000

// Rates holds a token bucket per key. It may be used concurrently. One lock is enough:
// AllowN takes 170 ns, a third of it for the clock, or 220 ns if a second core does
// nothing else (BenchmarkRates on 2 noisy cores). A request takes a hundred times
// that.
type Rates[K comparable] struct {
	limit rate.Limit
	burst int
	keys  int

	mu      sync.Mutex // guards all below
	buckets map[K]*bucket[K]
	ends    bucket[K] // of the ring of buckets: ends.newer is the oldest, ends.older the newest
	pardons int64
}

// bucket is an element of a ring, ordered by last use.
type bucket[K comparable] struct {
	key          K
	limiter      *rate.Limiter
	older, newer *bucket[K]
}

// NewRates makes Rates that remember at most keys keys; 0: DefaultKeys.
//
// A full bucket holds no information, and is evicted as others come. If too many are
// not full, a new key evicts the bucket that was not used for longest, whose key is
// thereby pardoned. So a client with more keys than that can do no more than with a
// bucket for each, and no client is refused because of others.
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

// withRate returns r if it has that rate, or Rates with new buckets that go on counting
// pardons.
func (r *Rates[K]) withRate(rate Rate, keys int) *Rates[K] {
	n := NewRates[K](rate, keys)
	if n.limit == r.limit && n.burst == r.burst && n.keys == r.keys {
		return r
	}
	n.pardons = r.Pardons()
	return n
}

// AllowN takes n from key's bucket. If ok is false it takes nothing, and wait is the
// time until n are available, unless others take them. More than a burst needs a full
// bucket and leaves a debt, so that the average stays.
func (r *Rates[K]) AllowN(key K, n int) (wait time.Duration, ok bool) {
	if r.limit <= 0 {
		return 0, true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now() // under the lock: a limiter whose time goes back fills twice
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

// Pardons returns how many buckets were evicted before they were full.
func (r *Rates[K]) Pardons() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pardons
}

// use returns key's bucket, which becomes the newest. It makes one if needed.
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

// makeRoom makes room for one key. It evicts up to two full buckets, so that their
// number shrinks after a peak.
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

// RetryAfter returns wait in whole seconds, rounded up and at least 1.
func RetryAfter(wait time.Duration) int {
	return int(max(1, (wait+time.Second-1)/time.Second))
}
