package conn

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unique"

	"comet/gateway/wire"
)

// Poll after poll on one connection, parked each time, with other requests in
// between.
func TestPollsOnOneConnection(t *testing.T) {
	s := serve(t, time.Minute, listenFreely)
	p := s.dial()
	for i := range 100 {
		p.send("/poll?channel=c&channel=d")
		s.waitParked(2)
		s.publish("cd"[i%2:i%2+1], fmt.Sprint(i))
		if got := p.poll(); got != fmt.Sprint(i) {
			t.Fatalf("got %q, want %d", got, i)
		}
		s.waitParked(0) // the answer is there a moment before the poll is forgotten
		if i%3 == 0 {
			p.send("/")
			if got := p.answer(); got != "ok" {
				t.Fatalf("got %q", got)
			}
		}
	}
}

// A client that sends its next requests before it has an answer gets all, in
// order.
func TestPipelinedPolls(t *testing.T) {
	s := serve(t, time.Minute, listenFreely)
	p := s.dial()
	p.send("/poll?channel=c", "/", "/poll?channel=d&channel=e") // read with the first one
	s.waitParked(1)
	p.send("/") // while it is parked
	s.publish("c", "1")
	if got := p.poll() + p.answer(); got != "1ok" {
		t.Fatalf("got %q", got)
	}
	s.waitParked(2)
	s.publish("e", "2")
	if got := p.poll() + p.answer(); got != "2ok" {
		t.Fatalf("got %q", got)
	}
}

// An unread body is not the next request.
func TestPollWithBody(t *testing.T) {
	s := serve(t, time.Minute, listenFreely)
	const hidden = "GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n"
	for name, text := range map[string]string{
		"length":  fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(hidden), hidden),
		"chunked": fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden),
	} {
		p := s.dial()
		fmt.Fprint(p, "GET /poll?channel=c&wait=20ms HTTP/1.1\r\nHost: h\r\n"+text)
		p.poll()
		p.send("/poll?channel=d&wait=20ms")
		if got := p.answer(); got == "ok" {
			t.Errorf("%s: the body was taken for a request", name)
		}
	}
}

// A parked poll whose place leaves the tail before its writer comes to it is
// answered with nothing, and its cursor is where it was: the next one gets all
// from the log.
func TestParkedBehindTail(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1, time.Minute)
	w := b.parker.writers[0]
	for _, channels := range [][]string{{"c"}, {"c", "d"}, {"b", "c"}} {
		p := b.addPoll(w, channels...)
		at := p.unshared.cursors.String()
		for range 40 {
			b.publish("c", large[:64<<10])
		}
		w.work()
		_, body, _ := strings.Cut(string(p.readAll()), "\r\n\r\n")
		a, err := wire.ParsePoll([]byte(body))
		if err != nil || len(a.Messages)+len(a.Gaps) > 0 || a.Cursor != at {
			t.Fatalf("%v: got %.200q, %v, want nothing but %s", channels, body, err, at)
		}
		if p.removed || p.poll.waiting {
			t.Errorf("%v: gone: %v, waiting: %v", channels, p.removed, p.poll.waiting)
		}
		next := b.addPoll(w, channels...)
		b.publish("c", "1")
		w.work()
		if got := next.readAll(); !bytes.Contains(got, []byte(`"data":"1"`)) {
			t.Errorf("%v: a poll that has all got %q", channels, got)
		}
	}
}

// addPoll parks a poll of the channels at writer w.
func (b *bench) addPoll(w *writer, channels ...string) *testConn {
	b.t.Helper()
	poll := &poll{header: unique.Make(pollHead(http.Header{}, "application/json")), wait: time.Hour, waiting: true}
	return b.park(&parked{writer: w, ended: func(CloseReason) {}, poll: poll}, channels)
}

// A poll ends after its time, with nothing.
func TestPollEnds(t *testing.T) {
	s := serve(t, 320*time.Millisecond, listenFreely)
	p := s.dial()
	start := time.Now()
	p.send("/poll?channel=c&wait=50ms")
	if got := p.poll(); got != "" || time.Since(start) < 50*time.Millisecond {
		t.Errorf("got %q after %v", got, time.Since(start))
	}
}

// An answer that is larger than the socket's buffer arrives whole, and so does
// the next one.
func TestLargeAnswer(t *testing.T) {
	s := serve(t, time.Minute, listenFreely)
	p := s.dial()
	data := strings.Repeat("x", 12<<20)
	p.send("/poll?channel=c")
	s.waitParked(1)
	s.publish("c", data)
	s.waitParked(0)
	if got := p.poll(); got != data {
		t.Errorf("got %d bytes", len(got))
	}
	p.send("/")
	p.answer()
}

// Without a listener that takes it back, a connection is not parked, not kept,
// and leaves no descriptor open.
func TestUncountedPoll(t *testing.T) {
	s := serve(t, time.Minute, listenFreely)
	plain := httptest.NewServer(s)
	defer plain.Close()
	before := descriptors(t)
	for range 3 {
		res, err := http.Get(plain.URL + "/poll?channel=c")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(res.Body); err != nil || !res.Close {
			t.Errorf("%v, close: %v", err, res.Close)
		}
		res.Body.Close()
	}
	eventually(t, "no descriptor is left", func() bool { return descriptors(t) <= before })
}

// A node that drains answers its polls and closes their connections, and waits for no client.
func TestDrainWithPolls(t *testing.T) {
	s := serve(t, time.Minute, listenFreely)
	var polls []*peer
	for range 20 {
		p := s.dial()
		p.send("/poll?channel=c", "/") // the second one gets no answer
		polls = append(polls, p)
	}
	s.waitParked(20)
	start := time.Now()
	s.close()
	if took := time.Since(start); took > 4*time.Second {
		t.Errorf("took %v: the server waited for connections that are of no use", took)
	}
	for _, p := range polls {
		res, err := http.ReadResponse(p.r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(res.Body); err != nil || !res.Close {
			t.Errorf("%v, close: %v", err, res.Close)
		}
		if _, err := bufio.NewReader(p).ReadByte(); err != io.EOF {
			t.Errorf("after the answer: %v", err)
		}
	}
}
