package conn

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// replayMessage is as large as a message may be by default.
var replayMessage = strings.Repeat("x", 60_000)

// A client that replays and does not read pins at most replayShare, whatever it
// asks for and however it is held.
func TestStalledReplays(t *testing.T) {
	const eight = "channel=a&channel=b&channel=c&channel=d&channel=e&channel=f&channel=g&channel=h"
	for _, test := range []struct{ name, request string }{
		{"parked", "GET /events?channel=a&cursor=earliest HTTP/1.1"},
		{"raw", "GET /events?channel=a&format=SSERaw&cursor=earliest HTTP/1.1"},
		{"portable", "GET /events?channel=a&cursor=earliest HTTP/1.0"},
		{"eight channels", "GET /events?" + eight + "&cursor=earliest HTTP/1.1"},
		{"eight channels, portable", "GET /events?" + eight + "&cursor=earliest HTTP/1.0"},
		{"last", "GET /events?channel=a&last=60 HTTP/1.1"},
		{"last of eight", "GET /events?" + eight + "&last=20 HTTP/1.1"},
		{"poll", "GET /poll?channel=a&cursor=earliest HTTP/1.1"},
		{"poll of eight", "GET /poll?" + eight + "&cursor=earliest HTTP/1.1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			each := pinned(t, 4, 24, func(t *testing.T, readers int) int64 {
				s := serve(t, time.Minute, listenTightly)
				for i := range 96 {
					s.publish("abcdefgh"[i%8:i%8+1], replayMessage)
					s.publish("a", replayMessage)
				}
				var all []*peer
				for range readers {
					all = append(all, s.dialSmall())
				}
				before := heap()
				for _, p := range all {
					fmt.Fprintf(p, "%s\r\nHost: h\r\n\r\n", test.request)
				}
				s.waitStalled(readers)
				grown := heap() - before
				for _, p := range all {
					p.Close()
				}
				return grown
			})
			t.Logf("each pins %d KiB", each>>10)
			if each > replayShare {
				t.Errorf("each pins %d bytes, want at most %d", each, replayShare)
			}
		})
	}
}

// Over HTTP/2 it is the same.
func TestStalledReplaysHTTP2(t *testing.T) {
	each := pinned(t, 4, 24, func(t *testing.T, readers int) int64 {
		s := serve(t, time.Minute, listenFreely)
		for range 100 {
			s.publish("a", replayMessage)
		}
		url := s.serveTLS()
		var bodies []io.Closer
		before := heap()
		for range readers {
			transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true, HTTP2: &http.HTTP2Config{MaxReceiveBufferPerStream: 1 << 16}}
			r, err := (&http.Client{Transport: transport}).Get(url + "/events?channel=a&cursor=earliest")
			if err != nil || r.ProtoMajor != 2 {
				t.Fatal(r, err)
			}
			bodies = append(bodies, r.Body)
			t.Cleanup(transport.CloseIdleConnections)
		}
		s.waitStalled(readers)
		grown := heap() - before
		for _, b := range bodies {
			b.Close()
		}
		return grown
	})
	const client = 128 << 10 // is in this process too: its window, and TLS
	t.Logf("each pins %d KiB", each>>10)
	if each > replayShare+client {
		t.Errorf("each pins %d bytes, want at most %d", each, replayShare+client)
	}
}

// serveTLS serves s over TLS and HTTP/2 as well.
func (s *server) serveTLS() (url string) {
	secure := httptest.NewUnstartedServer(s)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	s.t.Cleanup(func() {
		secure.Close()
		// An HTTP/2 handler may return after its connection is closed.
		eventually(s.t, "the handlers have returned", func() bool { return s.held.Load() == 0 })
	})
	return secure.URL
}

// smallBuffers has small send buffers, so that already one answer stalls.
type smallBuffers struct{ net.Listener }

func (l smallBuffers) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetWriteBuffer(4 << 10)
	}
	return c, err
}

func listenTightly(l net.Listener) *Listener { return listenFreely(smallBuffers{l}) }

// dialSmall is dial with a small receive buffer.
func (s *server) dialSmall() *peer {
	s.t.Helper()
	p := s.dial()
	if err := p.SetReadBuffer(4 << 10); err != nil {
		s.t.Fatal(err)
	}
	return p
}

// waitStalled waits until n are held and nothing is written any more.
func (s *server) waitStalled(n int) {
	s.t.Helper()
	var last, same int64
	eventually(s.t, fmt.Sprint(n, " stalled"), func() bool {
		stats := s.parker.Stats()
		bytes := stats.Bytes[OverSSE] + stats.Bytes[OverPoll]
		if bytes != last {
			last, same = bytes, 0
		}
		same++
		return s.held.Load() == int64(n) && same > 100
	})
}
