package conn

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// listened returns the Listener of an http.Server, and its log.
func listened(t *testing.T, l net.Listener, limit int) (*Listener, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	w := Listen(l, limit, slog.New(slog.NewTextHandler(&log, nil)))
	s := &http.Server{
		Handler:  http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }),
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo),
	}
	w.ConfigureServer(s)
	s.ConnState = nil // so that no connection counts as idle again, and makes room
	served := make(chan error, 1)
	go func() { served <- s.Serve(w) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			t.Errorf("served until %v", err)
		}
	})
	return w, &log
}

// ask sends a request and returns the answer.
func ask(t *testing.T, c net.Conn) (*http.Response, string) {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4<<10)
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	head, body, _ := strings.Cut(string(b[:n]), "\r\n\r\n")
	res := &http.Response{Status: strings.SplitN(head, "\r\n", 2)[0], Header: make(http.Header)}
	for _, line := range strings.Split(head, "\r\n")[1:] {
		name, value, _ := strings.Cut(line, ": ")
		res.Header.Set(name, value)
	}
	return res, body
}

func listenLocal(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func dialLocal(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Beyond the limit connections get an answer, those that are there go on, and
// one more is accepted for each that leaves.
func TestConnectionLimit(t *testing.T) {
	l, log := listened(t, listenLocal(t), 2)
	first, second := dialLocal(t, l), dialLocal(t, l)
	for _, c := range []net.Conn{first, second} {
		if res, body := ask(t, c); body != "ok" {
			t.Fatalf("%s %s", res.Status, body)
		}
	}
	for range 5 {
		c := dialLocal(t, l)
		res, body := ask(t, c)
		if res.Status != "HTTP/1.1 503 Service Unavailable" || res.Header.Get("Retry-After") == "" ||
			res.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(body, "too-many-connections") {
			t.Errorf("%s %v %s", res.Status, res.Header, body)
		}
		if rest, err := io.ReadAll(c); err != nil || len(rest) > 0 {
			t.Errorf("after the refusal: %q, %v", rest, err)
		}
		c.Close()
	}
	if _, body := ask(t, first); body != "ok" {
		t.Errorf("a connection that was there: %s", body)
	}
	second.Close()
	for l.Open() > 1 { // no event tells
		if res, _ := ask(t, first); res.Status != "HTTP/1.1 200 OK" {
			t.Fatal(res.Status)
		}
	}
	if res, body := ask(t, dialLocal(t, l)); body != "ok" {
		t.Errorf("after one left: %s %s", res.Status, body)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if n := strings.Count(log.String(), "descriptor limit"); n != 1 {
		t.Errorf("said %d times: %s", n, log)
	}
	if got := l.Stats().Refused; got != 5 {
		t.Errorf("%d refused, want 5", got)
	}
}

// pipes is a listener without a network, for bubbles.
type pipes struct {
	dialed chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.dialed:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// connect has n clients come and go.
func (p *pipes) connect(n int) {
	for range n {
		client, server := net.Pipe()
		p.dialed <- server
		client.Close()
	}
	synctest.Wait()
}

// refusalLog is what was logged of refusals, from its start in a bubble.
type refusalLog struct {
	t     *testing.T
	start time.Time
	lines chan string
}

func (l *refusalLog) Write(b []byte) (int, error) {
	l.lines <- string(b)
	return len(b), nil
}

// at checks, so long after the start, the numbers in the lines since the last
// check.
func (l *refusalLog) at(after time.Duration, want ...string) {
	l.t.Helper()
	time.Sleep(after - time.Since(l.start))
	synctest.Wait()
	var got []string
	for range len(l.lines) {
		_, n, _ := strings.Cut(<-l.lines, "connections=1 refused=")
		got = append(got, strings.TrimSpace(n))
	}
	if !slices.Equal(got, want) {
		l.t.Errorf("after %v: lines with %q, want %q", after, got, want)
	}
}

// At the limit there is one log line at once, and then one per minute for as long
// as there are refusals to report.
func TestRefusalsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &refusalLog{t: t, start: time.Now(), lines: make(chan string, 10)}
		p := &pipes{dialed: make(chan net.Conn), closed: make(chan struct{})}
		l := Listen(p, 1, slog.New(slog.NewTextHandler(log, nil)))
		accepted := make(chan net.Conn, 2)
		go func() {
			defer close(accepted)
			for c, err := l.Accept(); err == nil; c, err = l.Accept() {
				c.(*countedConn).setBusy()
				accepted <- c
			}
		}()

		p.connect(1)
		log.at(0)
		p.connect(3)
		log.at(0, "1") // at once; the others wait
		log.at(59 * time.Second)
		p.connect(5)
		log.at(59 * time.Second)
		log.at(time.Minute, "7") // without another refusal
		log.at(10 * time.Minute) // nothing to tell
		p.connect(1)
		log.at(10*time.Minute, "1") // at once again
		(<-accepted).Close()
		p.connect(2) // one is accepted, which changes nothing
		log.at(11*time.Minute - time.Second)
		log.at(11*time.Minute, "1")

		p.connect(1)
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		(<-accepted).Close()
		<-accepted        // closed
		log.at(time.Hour) // nothing after its end
		if got, want := l.Stats(), (ListenerStats{Refused: 11}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

// failingListener is a listener that has no descriptors for a while.
type failingListener struct {
	net.Listener
	failures atomic.Int32
	asked    atomic.Int32
}

func (l *failingListener) Accept() (net.Conn, error) {
	l.asked.Add(1)
	if l.failures.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
	}
	return l.Listener.Accept()
}

// An accept that fails for now ends nothing and is not repeated in haste.
func TestAcceptFails(t *testing.T) {
	failing := &failingListener{Listener: listenLocal(t)}
	failing.failures.Store(4)
	start := time.Now()
	l, _ := listened(t, failing, 10)
	if res, body := ask(t, dialLocal(t, l)); body != "ok" {
		t.Errorf("%s %s", res.Status, body)
	}
	if n, took := failing.asked.Load(), time.Since(start); n > 6 || took < 20*time.Millisecond {
		t.Errorf("asked %d times in %v", n, took)
	}
}
