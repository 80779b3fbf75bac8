package redisbroker_test

import (
	"bytes"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"comet/pubsub/redistest"
)

// deafener is a proxy to a server that can drop pub/sub messages and pass everything else,
// PONG too.
type deafener struct {
	net.Listener
	target string
	deaf   atomic.Bool
	busy   sync.WaitGroup
}

func startDeafener(t *testing.T, target string) *deafener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &deafener{Listener: l, target: target}
	d.busy.Go(d.accept)
	t.Cleanup(func() {
		l.Close()
		d.busy.Wait() // brokers, which hold the connections, are closed before
	})
	return d
}

func (d *deafener) accept() {
	for {
		client, err := d.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", d.target)
		if err != nil {
			client.Close()
			continue
		}
		d.busy.Go(func() {
			defer server.Close()
			_, _ = io.Copy(server, client)
		})
		d.busy.Go(func() {
			defer client.Close()
			d.answer(client, server)
		})
	}
}

func (d *deafener) answer(client, server net.Conn) {
	b := make([]byte, 64<<10)
	for {
		n, err := server.Read(b)
		if err != nil {
			return
		}
		if d.deaf.Load() && bytes.Contains(b[:n], []byte("3\r\n$7\r\nmessage\r\n")) {
			continue
		}
		if _, err := client.Write(b[:n]); err != nil {
			return
		}
	}
}

// A connection that answers PING but delivers nothing is detected. The node is not ready
// until it has a new connection.
func TestDeafLink(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.TCP)
	d := startDeafener(t, server.Addr())
	options := at(d.Addr().String())
	c := newHarness(t, at(server.Addr()), options)
	c.listen("a")
	c.say("a")
	c.awaitReady(1, true)
	c.awaitReceived()
	d.deaf.Store(true)
	c.say("a")
	c.listeners[0].awaitID(c.log("a").End) // at the other node
	c.awaitReady(1, false)
	c.awaitReceived() // from the log, which is read at each new connection
	d.deaf.Store(false)
	c.awaitReady(1, true)
	c.say("a")
	c.drain()
	c.verify()
}
