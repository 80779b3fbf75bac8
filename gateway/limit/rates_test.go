package limit

import (
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// wantAllow takes, and compares the wait; ok is wanted when there is none.
func wantAllow(t *testing.T, r *Rates[string], key string, n int, wait time.Duration) {
	t.Helper()
	got, ok := r.AllowN(key, n)
	if diff := (got - wait).Abs(); ok != (wait == 0) || diff > time.Microsecond {
		t.Errorf("%d for %s: got %v, %v, want a wait of %v", n, key, got, ok, wait)
	}
}

func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRates[string](Rate{PerSecond: 10, Burst: 3}, 0)
		for range 3 {
			wantAllow(t, r, "alice", 1, 0)
		}
		for range 5 { // to be refused costs nothing
			wantAllow(t, r, "alice", 1, 100*time.Millisecond)
			wantAllow(t, r, "alice", 2, 200*time.Millisecond)
		}
		wantAllow(t, r, "bob", 3, 0)
		time.Sleep(50 * time.Millisecond)
		wantAllow(t, r, "alice", 1, 50*time.Millisecond)
		time.Sleep(50 * time.Millisecond)
		wantAllow(t, r, "alice", 1, 0)
		time.Sleep(time.Hour)
		wantAllow(t, r, "alice", 0, 0)
		wantAllow(t, r, "alice", 3, 0)
		wantAllow(t, r, "alice", 1, 100*time.Millisecond)
	})
}

// TestRatesDebt: more than a burst is taken at once and leaves a debt.
func TestRatesDebt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRates[string](Rate{PerSecond: 10, Burst: 3}, 0)
		wantAllow(t, r, "alice", 1, 0)
		wantAllow(t, r, "alice", 50, 100*time.Millisecond) // needs a full bucket
		time.Sleep(100 * time.Millisecond)
		wantAllow(t, r, "alice", 50, 0)
		wantAllow(t, r, "alice", 1, 4800*time.Millisecond)
		time.Sleep(4800 * time.Millisecond)
		wantAllow(t, r, "alice", 1, 0)
		wantAllow(t, r, "alice", 1, 100*time.Millisecond)
	})
}

func TestRatesBurst(t *testing.T) {
	for _, tt := range []struct {
		rate Rate
		want int
	}{
		{Rate{PerSecond: 10}, 10},
		{Rate{PerSecond: 2.5}, 2},
		{Rate{PerSecond: 0.1}, 1},
		{Rate{PerSecond: 10, Burst: 4}, 4},
	} {
		synctest.Test(t, func(t *testing.T) {
			r, got := NewRates[string](tt.rate, 0), 0
			for ok := true; ok; got++ {
				_, ok = r.AllowN("alice", 1)
			}
			if got--; got != tt.want {
				t.Errorf("%+v: %d at once, want %d", tt.rate, got, tt.want)
			}
		})
	}
}

func TestRatesNoLimit(t *testing.T) {
	r := NewRates[string](Rate{}, 0)
	for n := range 1000 {
		wantAllow(t, r, fmt.Sprint(n), n, 0)
	}
	if len(r.buckets) != 0 {
		t.Errorf("%d keys without a limit", len(r.buckets))
	}
}

// TestRatesForgets: full buckets go as new ones come, others stay.
func TestRatesForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRates[string](Rate{PerSecond: 1, Burst: 1}, 100)
		for n := range 100 {
			wantAllow(t, r, fmt.Sprint("old ", n), 1, 0)
		}
		time.Sleep(time.Second)
		for n := range 50 {
			wantAllow(t, r, fmt.Sprint("new ", n), 1, 0)
		}
		if len(r.buckets) != 50 || r.Pardons() != 0 {
			t.Errorf("%d keys and %d pardons, want the 50 new ones", len(r.buckets), r.Pardons())
		}
		wantAllow(t, r, "new 0", 1, time.Second)
	})
}

// TestRatesPardons: with too many keys the one that was not asked for longest
// goes, and one that keeps asking is never pardoned.
func TestRatesPardons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const keys = 10
		r := NewRates[string](Rate{PerSecond: 1, Burst: 1}, keys)
		wantAllow(t, r, "flood", 1, 0)
		for n := range 100 {
			wantAllow(t, r, fmt.Sprint("other ", n), 1, 0)
			wantAllow(t, r, "flood", 1, time.Second)
		}
		if len(r.buckets) != keys || r.Pardons() != 101-keys {
			t.Errorf("%d keys and %d pardons", len(r.buckets), r.Pardons())
		}
		wantAllow(t, r, "other 99", 1, time.Second)
		wantAllow(t, r, "other 0", 1, 0)
	})
}

// TestRatesTogether: concurrent callers get no more than the burst.
func TestRatesTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const burst = 100
		r := NewRates[int](Rate{PerSecond: 1, Burst: burst}, 8)
		var mu sync.Mutex
		taken := map[int]int{}
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for n := range 1000 {
					if _, ok := r.AllowN(n%4, 1); ok {
						mu.Lock()
						taken[n%4]++
						mu.Unlock()
					}
				}
			})
		}
		all.Wait()
		for key, n := range taken {
			if n != burst {
				t.Errorf("key %d took %d, want %d", key, n, burst)
			}
		}
	})
}

func TestRetryAfter(t *testing.T) {
	for wait, want := range map[time.Duration]int{
		0: 1, time.Nanosecond: 1, time.Second: 1, time.Second + 1: 2, 90 * time.Second: 90,
	} {
		if got := RetryAfter(wait); got != want {
			t.Errorf("%v: got %d, want %d", wait, got, want)
		}
	}
}

// bytesFor is what the heap grows by, for each of n, when fill fills it.
func bytesFor(n int, fill func() any) float64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	filled := fill()
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(filled)
	return (float64(after.HeapAlloc) - float64(before.HeapAlloc)) / float64(n)
}

// addressOf is the nth of many clients.
func addressOf(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
}

func TestRatesMemory(t *testing.T) {
	got := bytesFor(DefaultKeys, func() any {
		r := NewRates[netip.Addr](Rate{PerSecond: 1}, 0)
		for n := range 2 * DefaultKeys {
			r.AllowN(addressOf(n), 1)
		}
		return r
	})
	t.Logf("%.0f bytes per key", got)
	if got > 400 {
		t.Errorf("%.0f bytes per key, want at most 400", got)
	}
}

func BenchmarkRates(b *testing.B) {
	ample := Rate{PerSecond: 1, Burst: 1e12} // no bucket is full again or empty
	for _, keys := range []int{1, 10_000} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			r := NewRates[netip.Addr](ample, 0)
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				r.AllowN(addressOf(n%keys), 1)
			}
		})
	}
	b.Run("refused", func(b *testing.B) {
		r := NewRates[netip.Addr](Rate{PerSecond: 1e-3}, 0)
		b.ReportAllocs()
		for b.Loop() {
			r.AllowN(addressOf(0), 1)
		}
	})
	b.Run("new", func(b *testing.B) { // and another one forgotten
		r := NewRates[netip.Addr](Rate{PerSecond: 1e-3}, 10_000)
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			r.AllowN(addressOf(n), 1)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		r := NewRates[netip.Addr](ample, 0)
		b.RunParallel(func(pb *testing.PB) {
			for n := 0; pb.Next(); n++ {
				r.AllowN(addressOf(n%10_000), 1)
			}
		})
	})
}
