package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"comet/gateway/wire"
	"comet/pubsub"
)

// stream is an open event stream. It is read either by events or by block.
type stream struct {
	t      testing.TB
	header http.Header
	body   *bufio.Reader
	events *wire.Reader
	cursor string // behind the last event
	leave  context.CancelFunc
}

// open begins a stream at the next node; the test's end ends it.
func (c *cluster) open(query string, header ...string) *stream {
	c.t.Helper()
	return c.openAt(c.next(), query, header...)
}

func (c *cluster) openAt(n *node, query string, header ...string) *stream {
	c.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c.t.Cleanup(cancel)
	defer time.AfterFunc(patience, cancel).Stop()
	res, err := c.begin(ctx, n, get("/v1/events?"+query, header...))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { res.Body.Close() })
	if res.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(res.Body)
		c.t.Fatalf("%s: %d %s", query, res.StatusCode, body)
	}
	format := wire.SSE
	if res.Header.Get("Content-Type") == wire.NDJSON.ContentType() {
		format = wire.NDJSON
	}
	s := &stream{t: c.t, header: res.Header, body: bufio.NewReader(res.Body), leave: cancel}
	s.events = wire.NewReader(s.body, format)
	return s
}

// next waits for an event.
func (s *stream) next() wire.Event {
	s.t.Helper()
	defer time.AfterFunc(patience, s.leave).Stop()
	e, err := s.events.Next()
	if err != nil {
		s.t.Fatalf("stream behind %q: %v", s.cursor, err)
	}
	s.cursor = e.Cursor
	return e
}

// want waits for as many events and compares them, see tell.
func (s *stream) want(want ...string) {
	s.t.Helper()
	var got []string
	for range want {
		got = append(got, tell(s.next()))
	}
	if !slices.Equal(got, want) {
		s.t.Fatalf("got %q, want %q", got, want)
	}
}

// wantEnd waits for the end of the stream.
func (s *stream) wantEnd() {
	s.t.Helper()
	defer time.AfterFunc(patience, s.leave).Stop()
	if e, err := s.events.Next(); !errors.Is(err, io.EOF) {
		s.t.Errorf("got %s, %v; want the end", tell(e), err)
	}
}

// block waits for an event as its text, without the empty line behind it.
func (s *stream) block() string {
	s.t.Helper()
	defer time.AfterFunc(patience, s.leave).Stop()
	var block strings.Builder
	for {
		line, err := s.body.ReadString('\n')
		if err != nil {
			s.t.Fatalf("stream: %v behind %q", err, block.String()+line)
		}
		if line == "\n" {
			return block.String()
		}
		block.WriteString(line)
	}
}

// tell is an event in a word or two.
func tell(e wire.Event) string {
	switch e.Kind {
	case wire.KindReady:
		return "ready"
	case wire.KindGap:
		return "gap " + string(e.Gap.Reason)
	case wire.KindBye:
		return "bye " + e.Reason
	}
	if e.Message == nil {
		return "nothing"
	}
	return string(e.Message.Data)
}

// datas are the messages' data.
func datas(messages []*pubsub.Message) (all []string) {
	for _, m := range messages {
		all = append(all, string(m.Data))
	}
	return all
}

// channels is a query that names them.
func channels(names ...string) string { return url.Values{"channel": names}.Encode() }
