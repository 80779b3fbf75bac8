package conn

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"comet/gateway/wire"
)

// While subscribers come and go at random and a publisher runs, those that
// stay get everything once and in order, in every format.
func TestComingAndGoing(t *testing.T) {
	s := serve(t, time.Minute, listenFreely)
	const total = 300
	var staying, going sync.WaitGroup
	for _, query := range []string{"channel=a", "channel=a&channel=b"} {
		for name, format := range formats {
			p := s.dial()
			events := p.open(query+"&format="+name, format)
			staying.Go(func() {
				for i := range total {
					p.want(events, fmt.Sprint(i))
				}
				p.Close()
			})
		}
	}
	stop := make(chan struct{})
	for range 8 {
		going.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				p := s.dial()
				events := p.open([]string{"channel=a", "channel=b", "channel=b&channel=a"}[rand.N(3)], wire.SSE)
				if rand.N(2) == 0 {
					_, _ = events.Next()
				}
				p.Close()
			}
		})
	}
	for i := range total {
		s.publish("a", fmt.Sprint(i))
		if i%10 == 0 {
			runtime.Gosched()
		}
	}
	staying.Wait()
	for range 20 {
		s.publish("b", "for those who go")
		s.publish("a", "for those who go")
	}
	close(stop)
	done := make(chan struct{})
	go func() { going.Wait(); close(done) }()
	for {
		select {
		case <-done:
			eventually(t, "nobody is left", func() bool { return s.listener.Open() == 0 && s.feeds() == 0 && s.held.Load() == 0 })
			return
		default:
			s.publish("b", "for those who go")
			s.publish("a", "for those who go")
		}
	}
}

// A client that stops reading and goes on gets every byte, as long as its
// place is there.
func TestStopAndGo(t *testing.T) {
	s := serve(t, time.Minute, func(l net.Listener) *Listener { return listenFreely(narrow{l}) })
	for _, query := range []string{"channel=a", "channel=a&channel=b"} {
		p, fast := s.dial(), s.dial()
		_ = p.SetReadBuffer(64 << 10)
		events, beside := p.open(query, wire.SSE), fast.open(query, wire.SSE)
		for range 3 {
			var want []string
			for i := range 10 { // less than the tail keeps, more than a socket takes
				want = append(want, strings.Repeat(string(rune('a'+i)), 64<<10))
				s.publish("a", want[i])
				fast.want(beside, want[i])
			}
			p.want(events, want...)
		}
		p.Close()
		fast.Close()
	}
}

// narrow makes the kernel's buffers small.
type narrow struct{ net.Listener }

func (l narrow) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		err = c.(*net.TCPConn).SetWriteBuffer(8 << 10)
	}
	return c, err
}

// 100 MB go past stalled readers, and memory stays as it was: the tail and the
// feed have their bounds, and who is behind them is ended.
func TestStalledReaders(t *testing.T) {
	const growth = 32 << 20
	readers, total := 1000, 1600
	if underRace {
		readers, total = 300, 300
	}
	s := serve(t, time.Second, listenFreely)
	for i := range readers {
		p := s.dial()
		_ = p.SetReadBuffer(4 << 10)
		p.open([]string{"channel=a", "channel=a&channel=b"}[i%2], wire.SSE)
	}
	fast := s.dial()
	events := fast.open("channel=a", wire.SSE)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, most := heap(), uint64(0)
	data := strings.Repeat("x", 64<<10)
	for i := range total {
		s.publish("a", data)
		fast.want(events, data)
		if i%100 == 99 {
			most = max(most, heap())
		}
	}
	// The in-process broker's log keeps every message, which is no reader's doing.
	log := uint64(total * len(data))
	if after := heap(); after > before+log+growth || most > before+log+growth {
		t.Errorf("the heap grew from %d to %d MiB beside the log", before>>20, (max(after, most)-log)>>20)
	}
	eventually(t, "all stalled ones are ended", func() bool { return s.held.Load() == 1 })
	s.publish("a", "1")
	fast.want(events, "1")
	s.parked(1)
	eventually(t, "the feeds have forgotten all", func() bool {
		s.parker.mu.Lock()
		defer s.parker.mu.Unlock()
		for _, f := range s.parker.feeds {
			f.mu.Lock()
			kept := f.blocked != 0 || len(f.buf) > 0
			f.mu.Unlock()
			if kept {
				return false
			}
		}
		return len(s.parker.feeds) == 1
	})
}

// Whoever leaves, in whatever way, is forgotten at once.
func TestPeerLeaves(t *testing.T) {
	for name, leave := range map[string]func(*peer) error{
		"close":      func(p *peer) error { return p.Close() },
		"half-close": func(p *peer) error { return p.CloseWrite() },
		"reset": func(p *peer) error {
			_ = p.SetLinger(0)
			return p.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, time.Hour, listenFreely)
			for _, target := range []string{"/events?channel=c", "/events?channel=c&channel=d", "/poll?channel=c"} {
				p := s.dial()
				p.send(target)
				s.parked(1 + strings.Count(target, "&"))
				if err := leave(p); err != nil {
					t.Fatal(err)
				}
				eventually(t, target+" is over", func() bool { return s.held.Load() == 0 && s.listener.Open() == 0 && s.feeds() == 0 })
			}
		})
	}
}

// A node that leaves says goodbye to every stream, and the body ends as it
// must, even of a client that has sent more than its request.
func TestLeaveWithStreams(t *testing.T) {
	s := serve(t, time.Minute, listenFreely)
	ends := make(map[*peer]*wire.Reader)
	for name, format := range formats {
		for _, query := range []string{"channel=a", "channel=a&channel=b"} {
			p := s.dial()
			ends[p] = p.open(query+"&format="+name, format)
			p.send("/")
		}
	}
	s.close()
	for p, events := range ends {
		p.want(events, "bye shutdown")
		if e, err := events.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("got %+v, %v", e, err)
		}
	}
}

// A message of any size is nobody's slowness.
func TestLargeMessage(t *testing.T) {
	s := serve(t, time.Minute, listenFreely)
	p := s.dial()
	events := p.open("channel=c", wire.SSE)
	data := strings.Repeat("x", 3*feedBytes)
	s.publish("c", "1")
	s.publish("c", data)
	p.want(events, "1", data)
}

// A panic in a handler harms no parked stream.
func TestPanicBeside(t *testing.T) {
	s := serve(t, time.Minute, listenFreely)
	p := s.dial()
	events := p.open("channel=c", wire.SSE)
	bad := s.dial()
	bad.send("/panic")
	if _, err := bad.r.ReadByte(); err == nil {
		t.Error("a panic was answered")
	}
	s.publish("c", "1")
	p.want(events, "1")
}
