package clienttest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// balancer is a TCP load balancer before the nodes. Each connection goes to the next
// one. It can be cut and closed.
type balancer struct {
	targets []string
	origin  string // of the page, which may read the refusals
	listen  net.Listener
	conns   sync.WaitGroup

	mu       sync.Mutex // guards all below
	changed  chan struct{}
	open     map[net.Conn]bool
	mode     mode
	turn     int
	resumed  []string // what requests for a stream had of where the client was, each once
	ready    int      // streams that have begun
	refused  int
	beats    int // heartbeats that went through
	shutDown bool
}

// mode is how the balancer handles new connections.
type mode int

const (
	passes  mode = iota
	closes       // at once
	refuses      // answers 503, as a load balancer does whose nodes are away
)

func newBalancer(t *testing.T, n *nodes, origin string) *balancer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &balancer{targets: n.addresses, origin: origin, listen: l, changed: make(chan struct{}), open: make(map[net.Conn]bool)}
	d.conns.Go(d.accept)
	t.Cleanup(func() {
		d.update(func() { d.shutDown = true })
		_ = l.Close()
		d.cut()
		d.conns.Wait()
	})
	return d
}

func (d *balancer) url() string { return "http://" + d.listen.Addr().String() }

// update changes the state and wakes those who await.
func (d *balancer) update(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
	close(d.changed)
	d.changed = make(chan struct{})
}

var errLate = errors.New("nothing came")

// await returns when done, which reads the state, returns true.
func (d *balancer) await(what string, done func() bool) error {
	late := time.After(patience)
	for {
		d.mu.Lock()
		ok, changed := done(), d.changed
		d.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-late:
			return fmt.Errorf("%s: %w", what, errLate)
		}
	}
}

// shut cuts the open connections and handles new ones by m.
func (d *balancer) shut(m mode) {
	d.update(func() { d.mode = m })
	d.cut()
}

func (d *balancer) cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.open {
		_ = c.Close()
	}
}

func (d *balancer) accept() {
	for {
		c, err := d.listen.Accept()
		if err != nil {
			return // the test is over
		}
		d.conns.Go(func() { d.serve(c) })
	}
}

// keep registers c for cut. With ok false the caller closes it now.
func (d *balancer) keep(c net.Conn) (m mode, target string, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open[c] = true
	d.turn++
	return d.mode, d.targets[d.turn%len(d.targets)], !d.shutDown
}

func (d *balancer) serve(c net.Conn) {
	defer c.Close()
	m, target, ok := d.keep(c)
	defer d.update(func() { delete(d.open, c) })
	if !ok {
		return
	}
	if m != passes {
		d.refuse(c, m)
		return
	}
	up, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer up.Close()
	down := make(chan struct{})
	go func() {
		defer close(down)
		d.copy(c, up, d.fromNode)
		_ = c.Close()
	}()
	d.copy(up, c, d.fromClient)
	_ = up.Close()
	<-down
}

func (d *balancer) refuse(c net.Conn, m mode) {
	if m == refuses {
		if _, err := c.Read(make([]byte, 64<<10)); err != nil {
			return
		}
		fmt.Fprintf(c, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n"+
			"Access-Control-Allow-Origin: %s\r\nAccess-Control-Allow-Credentials: true\r\n\r\n", d.origin)
	}
	d.update(func() { d.refused++ })
}

// copy copies bytes from one side to the other, and passes them to look.
func (d *balancer) copy(to io.Writer, from io.Reader, look func([]byte)) {
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if n > 0 {
			look(b[:n])
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// fromClient records how a request for a stream resumes.
func (d *balancer) fromClient(b []byte) {
	head, _, _ := strings.Cut(string(b), "\r\n\r\n")
	line, header, _ := strings.Cut(head, "\r\n")
	if !strings.HasPrefix(line, "GET /v1/events?") {
		return
	}
	by := ""
	switch {
	case strings.Contains(strings.ToLower(header), "last-event-id: "):
		by = "`Last-Event-ID`"
	case strings.Contains(line, "&lastEventId="):
		by = "`?lastEventId=`"
	}
	d.update(func() {
		if by != "" && !slices.Contains(d.resumed, by) {
			d.resumed = append(d.resumed, by)
		}
	})
}

// fromNode counts what the node writes in one piece.
func (d *balancer) fromNode(b []byte) {
	ready, beats := bytes.Count(b, []byte("event: comet.ready\n")), bytes.Count(b, []byte("\r\n:\n\r\n"))
	if ready+beats > 0 {
		d.update(func() {
			d.ready += ready
			d.beats += beats
		})
	}
}

// resumedBy describes how requests for a stream resumed.
func (d *balancer) resumedBy() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.resumed, ", ")
}
