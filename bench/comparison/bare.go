//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"comet/gateway/wire"
	"comet/pubsub"
)

// bareCommand is the argument, before an address, that makes this binary the bare
// server. It is a separate process, so that its CPU time can be measured.
const bareCommand = "serve-bare"

func (l *lab) startBare(address netip.AddrPort) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return startProcess(filepath.Join(l.dir, "bare.log"), self, bareCommand, address.String())
}

// bareServer does the minimum of a server: every GET is a subscriber, and every
// POST is one loop of write(2) over all of them, with the bytes that Comet would
// send. It has no channels, stores nothing, and does not notice disconnects.
type bareServer struct {
	mu          sync.Mutex
	subscribers []*os.File
}

// serveBare serves until ctx ends. Its goroutines end with the process.
func serveBare(ctx context.Context, address string) error {
	l, err := net.Listen("tcp4", address)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { l.Close() })()
	var s bareServer
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go s.serve(c.(*net.TCPConn))
	}
}

// serve answers requests until one is a subscriber's.
func (s *bareServer) serve(c *net.TCPConn) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if r.Method == http.MethodGet {
			s.subscribe(c)
			return
		}
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		s.publish(string(text))
		if _, err := io.WriteString(c, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"); err != nil {
			return
		}
	}
}

// subscribe keeps a descriptor of c, which the caller closes.
func (s *bareServer) subscribe(c *net.TCPConn) {
	file, err := c.File()
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subscribers = append(s.subscribers, file)
	unix.Write(int(file.Fd()), []byte("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"))
}

func (s *bareServer) publish(text string) {
	data, err := pubsub.TextData(text)
	if err != nil {
		return
	}
	now := time.Now()
	m := &pubsub.Message{Channel: "comparison", Type: pubsub.DefaultType, Data: data, ID: pubsub.ID{MS: uint64(now.UnixMilli())}, Time: now}
	event := wire.SSE.AppendMessage(nil, m, m.ID.Append(nil), false)
	chunk := fmt.Appendf(nil, "%x\r\n%s\r\n", len(event), event)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, file := range s.subscribers {
		unix.Write(int(file.Fd()), chunk)
	}
}
