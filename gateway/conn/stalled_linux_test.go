package conn

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"comet/gateway/wire"
)

// pinned is how many bytes of the heap each of many readers costs, beyond what
// is the same beside a few: the logs, the tails and the feeds.
func pinned(t *testing.T, few, many int, grow func(t *testing.T, readers int) int64) (each int64) {
	t.Helper()
	grown := make(map[int]int64)
	for _, n := range []int{few, many} {
		t.Run(fmt.Sprint(n), func(t *testing.T) { grown[n] = grow(t, n) })
	}
	return (grown[many] - grown[few]) / int64(many-few)
}

// heap is how many bytes are in use.
func heap() int64 {
	runtime.GC()
	runtime.GC() // pools keep things for one collection
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// 100 MB go past stalled readers that are not closed yet. Each pins next to
// nothing or, with several channels, what one turn of encoding takes.
func TestStalledReaders(t *testing.T) {
	many, total := 1000, 1600
	if underRace {
		many, total = 300, 300
	}
	data := large[:64<<10]
	for _, test := range []struct {
		channels []string
		limit    int64
	}{
		{[]string{"a"}, 2 << 10},
		{[]string{"a", "b"}, maxUnsharedBytes + 2<<10},
	} {
		each := pinned(t, 10, many, func(t *testing.T, readers int) int64 {
			b := newBench(t, 1, time.Minute)
			w := b.parker.writers[0]
			var stalled []*testConn
			for range readers {
				stalled = append(stalled, b.addStream(w, test.channels...))
			}
			fast := b.addStream(w, "a")
			if err := unix.SetsockoptInt(int(fast.fd), unix.SOL_SOCKET, unix.SO_SNDBUF, 1<<20); err != nil {
				t.Fatal(err)
			}
			before := heap()
			for range total {
				b.publish("a", data)
				w.work() // and never a walk, which would end them
				if got := fast.readAll(); len(got) < len(data) || fast.blocked {
					t.Fatalf("the fast one got %d bytes", len(got))
				}
			}
			grown := heap() - before
			for _, p := range stalled {
				if !p.blocked || p.removed {
					t.Fatalf("blocked: %v, gone: %v", p.blocked, p.removed)
				}
			}
			return grown
		})
		if each > test.limit {
			t.Errorf("of %v: each pins %d bytes, want at most %d", test.channels, each, test.limit)
		}
	}
}

// Stalled readers are ended when their places have gone, and nothing stays of
// them: neither their own nor what the feeds kept for them.
func TestStalledReadersEnd(t *testing.T) {
	for _, query := range []string{"channel=a", "channel=a&channel=b"} {
		each := pinned(t, 10, 200, func(t *testing.T, readers int) int64 {
			s := serve(t, time.Second, listenFreely)
			for range readers {
				p := s.dial()
				_ = p.SetReadBuffer(4 << 10)
				p.open(query, wire.SSE)
			}
			before := heap()
			for range 200 { // more than sockets take
				s.publish("a", large[:64<<10])
			}
			eventually(t, "all are ended", func() bool { return s.held.Load() == 0 })
			p := s.dial()
			events := p.open("channel=a", wire.SSE)
			s.publish("a", "1")
			p.want(events, "1")
			s.waitParked(1)
			eventually(t, "the feeds have forgotten all", s.feedsEmpty)
			return heap() - before
		})
		if each > 1<<10 {
			t.Errorf("%s: each pins %d bytes when it has been ended", query, each)
		}
	}
}

// feedsEmpty reports whether only one feed is left, which keeps nothing.
func (s *server) feedsEmpty() bool {
	s.parker.feeds.mu.Lock()
	defer s.parker.feeds.mu.Unlock()
	for _, f := range s.parker.feeds.byKey {
		f.mu.Lock()
		kept := f.blocked != 0 || len(f.buf) > 0
		f.mu.Unlock()
		if kept {
			return false
		}
	}
	return len(s.parker.feeds.byKey) == 1
}
