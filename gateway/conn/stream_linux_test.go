package conn

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"comet/gateway/wire"
)

// A client that stops reading and goes on gets every byte, as long as its
// place is there.
func TestStalledClientResumes(t *testing.T) {
	s := serve(t, time.Minute, func(l net.Listener) *Listener { return listenFreely(smallSendBuffer{l}) })
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

// smallSendBuffer makes the kernel's buffers small.
type smallSendBuffer struct{ net.Listener }

func (l smallSendBuffer) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		err = c.(*net.TCPConn).SetWriteBuffer(8 << 10)
	}
	return c, err
}

// A client that closes, in any way, is removed at once.
func TestPeerCloses(t *testing.T) {
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
				s.waitParked(1 + strings.Count(target, "&"))
				if err := leave(p); err != nil {
					t.Fatal(err)
				}
				eventually(t, target+" is over", func() bool { return s.held.Load() == 0 && s.listener.Open() == 0 && s.feeds() == 0 })
			}
		})
	}
}

// A node that drains sends a comet.bye to every stream, and the body ends as it
// must, even of a client that has sent more than its request.
func TestDrainWithStreams(t *testing.T) {
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

// A message of any size makes no client slow.
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
func TestPanicInHandler(t *testing.T) {
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
