package conn

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"comet/gateway/wire"
)

// peer is a client that reads and writes its connection itself.
type peer struct {
	*net.TCPConn
	t *testing.T
	r *bufio.Reader
}

func (s *server) dial() *peer {
	s.t.Helper()
	c, err := net.Dial("tcp", s.listener.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return &peer{c.(*net.TCPConn), s.t, bufio.NewReader(c)}
}

// send sends one request after the other, in one write.
func (p *peer) send(targets ...string) {
	p.t.Helper()
	var b []byte
	for _, target := range targets {
		b = fmt.Appendf(b, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", target)
	}
	if _, err := p.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

// answer reads a whole answer.
func (p *peer) answer() string {
	p.t.Helper()
	_ = p.SetDeadline(time.Now().Add(patience))
	res, err := http.ReadResponse(p.r, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		p.t.Fatalf("%s %q, %v", res.Status, body, err)
	}
	return string(body)
}

// poll reads a poll's answer and returns its data, apart by spaces.
func (p *peer) poll() string {
	p.t.Helper()
	got, err := wire.ParsePoll([]byte(p.answer()))
	if err != nil {
		p.t.Fatal(err)
	}
	var all []string
	for _, m := range got.Messages {
		all = append(all, strings.Trim(string(m.Data), `"`))
	}
	return strings.Join(all, " ")
}

// open begins a stream and returns the reader of its events.
func (p *peer) open(query string, format wire.Format) *wire.Reader {
	p.t.Helper()
	p.send("/events?" + query)
	res, err := http.ReadResponse(bufio.NewReader(&untilBlank{r: p.r}), nil)
	if err != nil || res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != format.ContentType() {
		p.t.Fatalf("%v %v", res, err)
	}
	events := wire.NewReader(&chunks{r: p.r}, format)
	p.want(events, "ready")
	return events
}

// want waits for events: ready, bye, or a message's data.
func (p *peer) want(events *wire.Reader, want ...string) {
	p.t.Helper()
	_ = p.SetDeadline(time.Now().Add(patience))
	for _, want := range want {
		e, err := events.Next()
		if err != nil {
			p.t.Fatalf("%v, want %.20s", err, want)
		}
		got := "ready"
		switch e.Kind {
		case wire.KindMessage:
			got = strings.Trim(string(e.Message.Data), `"`)
		case wire.KindBye:
			got = "bye " + e.Reason
		}
		if got != want {
			p.t.Fatalf("got %.20q (%d), want %.20q (%d)", got, len(got), want, len(want))
		}
	}
}
