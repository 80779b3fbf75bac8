package conn

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// addressed is a server's end of a pipe from an address.
type addressed struct {
	net.Conn
	remote net.Addr
}

func (a addressed) RemoteAddr() net.Addr { return a.remote }

// limitedListener is a listener of pipes in a bubble, whose connections a test holds.
type limitedListener struct {
	*pipes
	t        *testing.T
	listener *Listener
	accepted chan net.Conn
}

// newLimitedListener allows most connections in all and two for each address.
func newLimitedListener(t *testing.T, most int) *limitedListener {
	c := &limitedListener{pipes: &pipes{dialed: make(chan net.Conn), closed: make(chan struct{})}, t: t, accepted: make(chan net.Conn, 100)}
	c.listener = ListenWith(c.pipes, ListenOptions{
		Limit: most, Logger: slog.New(slog.DiscardHandler),
		Addresses: func(remote netip.Addr) (netip.Addr, int) {
			if remote == netip.MustParseAddr("10.0.0.1") { // a proxy
				return netip.Addr{}, 0
			}
			return remote, 2
		},
	})
	go func() {
		for one, err := c.listener.Accept(); err == nil; one, err = c.listener.Accept() {
			c.accepted <- one
		}
	}()
	t.Cleanup(func() { c.listener.Close() })
	return c
}

// open has a client of the address come, and is the server's end of the
// connection; nil: it was refused, with an answer that has status.
func (c *limitedListener) open(address string, status string) *countedConn {
	c.t.Helper()
	client, server := net.Pipe()
	c.dialed <- addressed{server, &net.TCPAddr{IP: net.ParseIP(address)}}
	synctest.Wait()
	if len(c.accepted) > 0 {
		if status != "" {
			c.t.Errorf("%s was accepted, want %s", address, status)
		}
		return (<-c.accepted).(*countedConn)
	}
	_, _ = io.WriteString(client, "GET / HTTP/1.1\r\n\r\n")
	b := make([]byte, 1024)
	n, _ := client.Read(b)
	client.Close()
	synctest.Wait()
	if status == "" || !strings.HasPrefix(string(b[:n]), "HTTP/1.1 "+status) {
		c.t.Errorf("%s was answered %q, want %q", address, b[:n], status)
	}
	return nil
}

// isClosed reports whether the server has closed its end.
func (c *countedConn) isClosed() bool {
	_ = c.Conn.SetReadDeadline(time.Now())
	_, err := c.Conn.Read(make([]byte, 1))
	return err == io.ErrClosedPipe
}

// An address has as many connections as its limit, however many others there are.
// One that is idle makes room for another of the same address.
func TestAddressConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLimitedListener(t, 100)
		first := c.open("192.0.2.1", "")
		time.Sleep(time.Second)
		second := c.open("192.0.2.1", "")
		time.Sleep(time.Second)
		third := c.open("192.0.2.1", "")
		if !first.isClosed() || second.isClosed() {
			t.Errorf("closed: %v, %v; want the one that was idle longest", first.isClosed(), second.isClosed())
		}
		second.setBusy()
		third.setBusy()
		time.Sleep(time.Second)
		c.open("192.0.2.1", "429")
		c.open("192.0.2.2", "")
		for range 5 {
			c.open("10.0.0.1", "")
		}
		second.setIdle()
		time.Sleep(time.Second)
		fourth := c.open("192.0.2.1", "")
		if !second.isClosed() || third.isClosed() {
			t.Error("the one that serves a request was closed, not the idle one")
		}
		third.exempt() // a back end's
		third.setIdle()
		fifth := c.open("192.0.2.1", "")
		for _, one := range []*countedConn{third, fourth, fifth} {
			if one.isClosed() {
				t.Error("a connection was closed though its address may have one more")
			}
			one.Close()
		}
		gone := c.open("192.0.2.3", "")
		c.open("192.0.2.3", "")
		gone.Close()
		gone.exempt() // by a handler that outlives its HTTP/2 connection
		if open := c.listener.owners[netip.MustParseAddr("192.0.2.3")].open; open != 1 {
			t.Errorf("%d connections are counted, want 1", open)
		}
		if c.open("192.0.2.1", "").Close(); len(c.listener.owners) != 2 {
			t.Errorf("%d addresses are remembered, want those of the ones that are here", len(c.listener.owners))
		}
		if got := c.listener.Stats(); got.AddressRefused != 1 || got.Closed != 2 || got.Open != 7 {
			t.Errorf("counted %+v", got)
		}
	})
}

// A full listener closes the connection that has been idle longest, also one whose
// header is half sent, and never one that serves a request or has just come.
func TestIdleMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLimitedListener(t, 10)
		var all []*countedConn
		for i := range 10 {
			all = append(all, c.open(fmt.Sprintf("192.0.2.%d", i), ""))
			if i%2 == 0 {
				all[i].setBusy()
			}
			time.Sleep(20 * time.Millisecond)
		}
		c.open("198.51.100.1", "") // all[1] is fresh no more
		if !all[1].isClosed() || all[3].isClosed() {
			t.Error("want the one closed that was idle longest")
		}
		for i := 3; i < 10; i += 2 {
			all[i].setBusy()
		}
		c.open("198.51.100.2", "503") // the idle one is fresh
		time.Sleep(minIdle)
		all[5].setIdle()
		time.Sleep(time.Millisecond)
		c.open("198.51.100.2", "")
		for i := 3; i < 10; i++ {
			if all[i].isClosed() {
				t.Errorf("connection %d was closed", i)
			}
		}
		c.open("198.51.100.3", "503")
		time.Sleep(minIdle)
		c.open("198.51.100.3", "")
		if !all[5].isClosed() {
			t.Error("the idle one was not closed")
		}
	})
}

// While there is room left, connections that are idle for only a moment stay.
func TestNearlyFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLimitedListener(t, 2*nearlyFull)
		var first *countedConn
		for i := range 2*nearlyFull - 1 {
			one := c.open(fmt.Sprintf("192.0.2.%d", i), "")
			if i == 0 {
				first = one
			} else {
				one.setBusy()
			}
		}
		if first.isClosed() {
			t.Error("closed when it had just come")
		}
		time.Sleep(minIdleEarly + 1)
		c.open("198.51.100.1", "").setBusy()
		if !first.isClosed() {
			t.Error("not closed when it had rested")
		}
	})
}

// A server tells which connections are idle, over TCP, and one that was closed
// for others does not count.
func TestServerTellsIdle(t *testing.T) {
	t.Parallel()
	working, done := make(chan struct{}), make(chan struct{})
	l := ListenWith(listenLocal(t), ListenOptions{Limit: 2, Logger: slog.New(slog.DiscardHandler)})
	s := &http.Server{ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/work" {
			close(working)
			<-done
		}
		io.WriteString(w, "ok")
	})}
	l.ConfigureServer(s)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	defer func() {
		s.Close()
		<-served
	}()
	half, works := dialLocal(t, l), dialLocal(t, l)
	_, _ = io.WriteString(half, "GET /half HTTP/1.1\r\nHost: ")
	_, _ = io.WriteString(works, "GET /work HTTP/1.1\r\nHost: h\r\n\r\n")
	<-working
	eventually(t, "a third one is served", func() bool {
		c := dialLocal(t, l)
		defer c.Close()
		_, body := ask(t, c)
		return body == "ok"
	})
	close(done)
	_ = works.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, 1024)
	if n, _ := works.Read(b); !strings.HasSuffix(string(b[:n]), "ok") {
		t.Errorf("the one that was served got %q", b[:n])
	}
	_ = half.SetReadDeadline(time.Now().Add(patience))
	if n, err := half.Read(b); err == nil {
		t.Errorf("the one that had sent half a header got %q", b[:n])
	}
}
