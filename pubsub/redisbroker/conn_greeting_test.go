package redisbroker

import (
	"errors"
	"net"
	"strings"
	"sync"
	"testing"

	"comet/pubsub"
	"comet/pubsub/redistest"
)

// The error of a Redis that answers with an error and closes is quoted.
func TestGreetingIsQuoted(t *testing.T) {
	t.Parallel()
	const denied = "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set. In this mode connections are only accepted from the loopback interface.\r\n"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte(denied))
			_ = c.Close()
		}
	})
	defer accepting.Wait()
	defer l.Close()
	wantQuoted(t, l.Addr().String(), "DENIED Redis is running in protected mode")

	server := redistest.Start(t, redistest.TCP)
	server.Do("CONFIG", "SET", "maxclients", "1")
	wantQuoted(t, server.Addr(), "max number of clients reached")
	server.Do("CONFIG", "SET", "maxclients", "100")
}

func wantQuoted(t *testing.T, address, text string) {
	t.Helper()
	for _, o := range []Options{{Addresses: []string{address}}, {Addresses: []string{address}, Cluster: true}} {
		b, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Check(t.Context()); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("check: %v, want it to quote %q", err, text)
		}
		err = b.Publish(t.Context(), []pubsub.Draft{{Channel: "a", Type: "message", Data: []byte("1")}})[0].Err
		if err == nil || !strings.Contains(err.Error(), text) || !errors.Is(err, pubsub.ErrUnavailable) {
			t.Errorf("publish: %v, want ErrUnavailable that quotes %q", err, text)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}
