package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"comet/gateway/wire"
	"comet/pubsub"
)

func TestEventsHeader(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		for accept, contentType := range map[string]string{
			"":                  "text/event-stream",
			"text/event-stream": "text/event-stream",
			asLines:             asLines,
			"text/html, application/x-ndjson;q=0.9, */*;q=0.8": asLines,
		} {
			s := c.open("channel=c", "Accept", accept)
			for name, want := range map[string]string{
				"Content-Type":           contentType,
				"Cache-Control":          "no-store, no-transform",
				"X-Accel-Buffering":      "no",
				"X-Content-Type-Options": "nosniff",
			} {
				if got := s.header.Get(name); got != want {
					t.Errorf("Accept %q: %s: %q, want %q", accept, name, got, want)
				}
			}
			if !strings.HasPrefix(s.header.Get("Comet-Node"), "node-") {
				t.Errorf("no Comet-Node: %v", s.header)
			}
		}
	})
}

// A stream, byte by byte.
func TestEventsText(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		s := c.open("channel=c")
		node := s.header.Get("Comet-Node")
		ready := s.block()
		line, _, _ := strings.Cut(ready, "\n")
		cursor := strings.TrimPrefix(line, "id: ")
		if want := "id: " + cursor + "\nevent: comet.ready\ndata: {\"node\":\"" + node + `","cursor":"` + cursor + "\"}\n"; ready != want || !last(t, []string{"c"}, cursor)[0].IsZero() {
			t.Errorf("got\n%s\nwant\n%s", ready, want)
		}
		id := c.publish("c", `{"a": 1}`)
		at := `,"time":"` + timeOf(t, id) + `"}` + "\n"
		wantBlock(t, s, "id: "+id+"\ndata: {\"id\":\""+id+`","channel":"c","type":"message","data":{"a":1}`+at)
		id = c.accepted(post(publishTo+"?type=tick", "a\nb", "Content-Type", "text/plain")).ID
		at = `,"time":"` + timeOf(t, id) + `"}` + "\n"
		wantBlock(t, s, "id: "+id+"\nevent: tick\ndata: {\"id\":\""+id+`","channel":"c","type":"tick","data":"a\nb"`+at)
	})
}

func timeOf(t *testing.T, text string) string {
	t.Helper()
	id, err := pubsub.ParseID(text)
	if err != nil {
		t.Fatal(err)
	}
	return id.Time().Format("2006-01-02T15:04:05.000Z07:00")
}

func wantBlock(t *testing.T, s *stream, want string) {
	t.Helper()
	if got := s.block(); got != want {
		t.Fatalf("got\n%s\nwant\n%s", got, want)
	}
}

// format=raw has just the payload, for what cannot take JSON apart.
func TestEventsRaw(t *testing.T) {
	tests := []struct{ name, contentType, body, data string }{
		{"text", "text/plain", "<b>hé</b>", "data: <b>hé</b>\n"},
		{"lines", "text/plain", "one\ntwo\r\nthree\n", "data: one\ndata: two\ndata: three\ndata: \n"},
		{"object", asJSON, `{"a": "x\ny"}`, `data: {"a":"x\ny"}` + "\n"},
		{"number", asJSON, `42`, "data: 42\n"},
		{"empty", "text/plain", "", "data: \n"},
	}
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		s := c.open("channel=c&format=raw")
		if ready := s.block(); !strings.Contains(ready, "event: comet.ready\ndata: {") {
			t.Errorf("got %s", ready)
		}
		for _, test := range tests {
			r := c.accepted(post(publishTo+"?type="+test.name, test.body, "Content-Type", test.contentType))
			wantBlock(t, s, "id: "+r.ID+"\nevent: "+test.name+"\n"+test.data)
		}
	})
}

// By NDJSON a message's own id is the cursor of one channel; of several it is
// a member.
func TestEventsLines(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		for i, query := range []string{"channel=a", "channel=b&channel=c"} {
			channel := string("ab"[i])
			s := c.open(query, "Accept", asLines)
			s.want("ready")
			first := c.publish(channel, "1")
			s.want("1")
			if one := i == 0; one != (s.cursor == first) {
				t.Errorf("%s: cursor %s after %s", query, s.cursor, first)
			}
			c.publish(channel, "2")
			resumed := c.open(query+"&cursor="+s.cursor, "Accept", asLines)
			resumed.want("ready", "2")
		}
	})
}

// Where a stream begins. #n is the ID of message n.
func TestEventsBegin(t *testing.T) {
	tests := []struct {
		name, query, lastEventID string
		first                    int
	}{
		{"now", "", "", 10},
		{"the last", "&last=3", "", 7},
		{"more than there are", "&last=999", "", 0},
		{"none of the last", "&last=0", "", 10},
		{"the oldest", "&cursor=earliest", "", 0},
		{"before the first", "&cursor=0-0", "", 0},
		{"a cursor", "&cursor=#4", "", 5},
		{"a cursor, not last", "&last=1&cursor=#4", "", 5},
		{"Last-Event-ID", "", "#6", 7},
		{"Last-Event-ID, not the cursor", "&cursor=earliest&last=2", "#8", 9},
		{"Last-Event-ID at the end", "&cursor=#1", "#9", 10},
		{"Last-Event-ID earliest", "&last=2", "earliest", 0},
		{"lastEventId", "&lastEventId=#6", "", 7},
		{"lastEventID", "&lastEventID=#6", "", 7},
		{"Last-Event-ID in the URL", "&Last-Event-ID=#6", "", 7},
		{"evs_last_event_id", "&evs_last_event_id=#6", "", 7},
		{"lastEventId, not the cursor", "&cursor=earliest&last=2&lastEventId=#8", "", 9},
		{"Last-Event-ID, not lastEventId", "&lastEventId=#6", "#8", 9},
		{"lastEventId without a value", "&last=3&lastEventId=", "", 7},
		{"lastEventId without a value, and one with", "&lastEventId=&lastEventID=#6", "", 7},
		{"lastEventId twice", "&lastEventId=#6&lastEventId=#8", "", 9},
		{"lastEventId earliest", "&last=2&lastEventId=earliest", "", 0},
	}
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		for i, test := range tests {
			channel := fmt.Sprint("c", i)
			ids := c.publishNumbers(channel, 0, 9)
			var replace []string
			for n, id := range ids {
				replace = append(replace, fmt.Sprint("#", n), id)
			}
			r := strings.NewReplacer(replace...)
			s := c.open("channel="+channel+r.Replace(test.query), "Last-Event-ID", r.Replace(test.lastEventID))
			s.want("ready")
			ids = append(ids, c.publish(channel, "10"))
			for n := test.first; n <= 10; n++ {
				if s.want(fmt.Sprint(n)); s.cursor != ids[n] {
					t.Errorf("%s: the cursor at %d is %s, want %s", test.name, n, s.cursor, ids[n])
				}
			}
			s.leave()
		}
	})
}

// A client that has seen nothing but comet.ready resumes exactly too.
func TestEventsReady(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		c.publish("old", "0")
		for _, query := range []string{"channel=new", "channel=old", "channel=new&channel=older"} {
			s := c.open(query)
			s.want("ready")
			s.leave()
			c.publish("new", "1")
			c.publish("old", "2")
			resumed := c.open(query, "Last-Event-ID", s.cursor)
			if query == "channel=old" {
				resumed.want("ready", "2")
			} else {
				resumed.want("ready", "1")
			}
		}
	})
}

// Several channels share one cursor, which holds on every node, in any order
// of the same channels, and says for each channel where it is.
func TestEventsSeveral(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		c.publishNumbers("a", 0, 1)
		s := c.open("channel=b/1&channel=a&channel=a&last=1")
		s.want("ready", "1")
		c.publish("b/1", "2")
		s.want("2")
		c.publish("a", "3")
		s.want("3")
		at := s.cursor
		c.publish("b/1", "4")
		s.want("4")
		for _, n := range c.nodes {
			s := c.openAt(n, "channel=a&channel=b/1&cursor="+at)
			s.want("ready", "4")
		}
		if limit := 12*2 + 8; len(at) > limit {
			t.Errorf("the cursor has %d bytes: %s", len(at), at)
		}
	})
}

// A gap reports messages that are no longer kept.
func TestEventsGap(t *testing.T) {
	overEach(t, setup{size: 10}, func(t *testing.T, c *cluster) {
		ids := c.publishNumbers("c", 0, 299) // Redis trims in blocks
		s := c.open("channel=c&cursor=" + ids[3])
		s.want("ready")
		gap := s.next().Gap
		if gap == nil || gap.Reason != pubsub.Trimmed || gap.From.String() != ids[3] || s.cursor != gap.To.String() {
			t.Fatalf("got %+v at %s", gap, s.cursor)
		}
		s.want(numbersAfter(ids, gap.To.String())...)
		// It is reported once: a client that resumes at the gap's own cursor gets no other.
		resumed := c.open("channel=c&cursor=" + gap.To.String())
		resumed.want(append([]string{"ready"}, numbersAfter(ids, gap.To.String())...)...)
	})
}

// numbersAfter are the messages of publishNumbers after the one named id.
func numbersAfter(ids []string, id string) (numbers []string) {
	found := false
	for i := range ids {
		if found {
			numbers = append(numbers, fmt.Sprint(i))
		}
		found = found || ids[i] == id
	}
	return numbers
}

// An idle stream gives signs of life.
func TestEventsHeartbeat(t *testing.T) {
	overEach(t, setup{heartbeat: 5 * time.Millisecond}, func(t *testing.T, c *cluster) {
		for accept, heartbeat := range map[string]string{"text/event-stream": ":\n", asLines: "\n"} {
			s := c.open("channel=c", "Accept", accept)
			if accept == asLines {
				if _, err := s.body.ReadString('\n'); err != nil { // ready
					t.Fatal(err)
				}
			} else {
				s.block()
			}
			for range 3 {
				if got, err := s.body.ReadString('\n'); got != heartbeat || err != nil {
					t.Fatalf("Accept %q: got %q, %v, want %q", accept, got, err, heartbeat)
				}
			}
		}
	})
}

// stream is an open event stream. It is read either by events or by block.
type stream struct {
	t      testing.TB
	header http.Header
	body   *bufio.Reader
	events *wire.Reader
	cursor string // after the last event
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
		s.t.Fatalf("stream after %q: %v", s.cursor, err)
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

// block waits for an event as its text, without the empty line after it.
func (s *stream) block() string {
	s.t.Helper()
	defer time.AfterFunc(patience, s.leave).Stop()
	var block strings.Builder
	for {
		line, err := s.body.ReadString('\n')
		if err != nil {
			s.t.Fatalf("stream: %v after %q", err, block.String()+line)
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

// The format of a stream is the one that the client prefers, and never one that
// it refuses.
func TestAccept(t *testing.T) {
	t.Parallel()
	const sse = "text/event-stream"
	c := overMemory(t, setup{})
	c.open("channel=c").want("ready") // opens the channel: what follows may come on the fast path
	for accept, want := range map[string]string{
		sse:                                      sse,
		"*/*":                                    sse,
		"text/*":                                 sse,
		"text/html":                              sse,
		asLines:                                  asLines,
		"APPLICATION/X-NDJSON":                   asLines,
		"application/*":                          asLines,
		sse + ", " + asLines:                     sse,
		asLines + ", " + sse:                     sse,
		asLines + ", */*":                        asLines,
		sse + ", " + asLines + ";q=0.1":          sse,
		asLines + ";q=0.9, " + sse + ";q=0.1":    asLines,
		asLines + ";q=0.9 , " + sse + " ; q=1.0": sse,
		asLines + ";Q=0.2, " + sse + ";q=0.1":    asLines,
		asLines + ";q=0, " + sse:                 sse,
		asLines + ";q=0":                         sse,
		asLines + ";q=0.000":                     sse,
		sse + ";q=0":                             asLines,
		sse + ";q=0, */*":                        asLines,
		"*/*;q=0, " + asLines:                    asLines,
		"*/*;q=0, " + sse + ";q=0.1":             sse,
		"text/*;q=0.5, " + asLines + ";q=0.6":    asLines,
		"text/html, application/xhtml+xml, */*;q=0.8":          sse,
		"application/json, text/plain, */*":                    sse,
		"text/html, " + asLines + ";q=0.9, */*":                sse,
		"text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2": sse,
		asLines + ";q=high, " + sse + ";q=0.5":                 asLines,
		";;, " + asLines:                                       asLines,
	} {
		s := c.open("channel=c", "Accept", accept)
		if got := s.header.Get("Content-Type"); got != want {
			t.Errorf("Accept: %s: got %s, want %s", accept, got, want)
		}
		s.leave()
	}
	s := c.open("channel=c", "Accept", sse+";q=0.5", "Accept", asLines)
	if got := s.header.Get("Content-Type"); got != asLines {
		t.Errorf("of two lines: got %s", got)
	}
	for _, accept := range []string{"*/*;q=0", sse + ";q=0, " + asLines + ";q=0", "text/*;q=0, application/*;q=0.0"} {
		wantProblem(t, accept, c.send(get("/v1/events?channel=c", "Accept", accept)), want{http.StatusNotAcceptable, "not-acceptable", "Accept"})
	}
}

// ownCursors is what the next block of a stream, a control event, says of
// channels' own cursors.
func (s *stream) ownCursors() map[string]string {
	s.t.Helper()
	block := s.block()
	_, data, _ := strings.Cut(block, "data: ")
	return decode[struct{ Cursors map[string]string }](s.t, data).Cursors
}

// A client with a cursor for each channel begins each channel there, and gets each
// channel's own cursor. #n is the ID of message n of the channel.
func TestCursorsApart(t *testing.T) {
	tests := []struct {
		name, query string
		first       map[string]int // message of the channel; 5 is the next one
	}{
		{"each its own", "channel=a&cursor=#a1&channel=b&cursor=#b3", map[string]int{"a": 2, "b": 4}},
		{"as the channels come", "channel=b&channel=a&cursor=#b3&cursor=#a1", map[string]int{"a": 2, "b": 4}},
		{"the oldest, and now", "channel=a&channel=b&cursor=earliest&cursor=", map[string]int{"a": 0, "b": 5}},
		{"the last, and a cursor", "channel=a&channel=b&cursor=&cursor=#b2&last=2", map[string]int{"a": 3, "b": 3}},
		{"last for each", "channel=a&channel=b&cursor=&cursor=&last=2&last=0", map[string]int{"a": 3, "b": 5}},
		{"last for each, and a cursor", "channel=b&channel=a&cursor=#b0&cursor=&last=&last=1", map[string]int{"a": 4, "b": 1}},
	}
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		ids := map[string][]string{"a": c.publishNumbers("a", 0, 4), "b": c.publishNumbers("b", 0, 4)}
		var replace []string
		for channel, all := range ids {
			for n, id := range all {
				replace = append(replace, fmt.Sprint("#", channel, n), id)
			}
		}
		for _, test := range tests {
			query := strings.NewReplacer(replace...).Replace(test.query)
			s := c.open(query)
			own := s.ownCursors()
			if len(own) != 2 {
				t.Fatalf("%s: ready has cursors %v", test.name, own)
			}
			s.wantAfter(test.name, ids, test.first)
			s.leave()

			// Each own cursor resumes its channel alone, as does a poll's.
			p := c.poll(query + "&wait=0")
			polled := decode[map[string]string](t, string(p.Cursors))
			for channel, at := range own {
				var want []string
				for n := test.first[channel]; n < 5; n++ {
					want = append(want, fmt.Sprint(n))
				}
				alone := c.poll("channel=" + channel + "&wait=0&cursor=" + at)
				if got := datas(alone.Messages); !slices.Equal(got, want) {
					t.Errorf("%s: after %s's own cursor is %q, want %q", test.name, channel, got, want)
				}
				if len(want) > 0 && polled[channel] != ids[channel][4] {
					t.Errorf("%s: the poll's cursor of %s is %s, want %s", test.name, channel, polled[channel], ids[channel][4])
				}
			}
		}
	})
}

// wantAfter waits for all messages of each channel in order, starting with first.
func (s *stream) wantAfter(name string, ids map[string][]string, first map[string]int) {
	s.t.Helper()
	next := maps.Clone(first)
	for next["a"] < len(ids["a"]) || next["b"] < len(ids["b"]) {
		m := s.next().Message
		if m == nil || next[m.Channel] >= len(ids[m.Channel]) || m.ID.String() != ids[m.Channel][next[m.Channel]] {
			s.t.Fatalf("%s: got %+v, expected %v", name, m, next)
		}
		next[m.Channel]++
	}
}

// A gap of one channel has the channel's own cursor after it, over every
// transport. A client that resumes there gets no other gap.
func TestGapApart(t *testing.T) {
	t.Parallel()
	c := overMemory(t, setup{size: 100, tail: pubsub.TailLimits{Messages: 10}})
	first := c.publish("a", "0")
	c.publishNumbers("a", 1, 400)
	query := "channel=a&cursor=" + first + "&channel=b&cursor="
	s := c.open(query)
	s.ownCursors()
	own := s.ownCursors()
	if len(own) != 1 || own["a"] == "" {
		t.Fatalf("the gap has cursors %v", own)
	}
	again := c.open("channel=b&cursor=&channel=a&cursor=" + own["a"])
	again.want("ready")
	if e := again.next(); e.Kind != wire.KindMessage {
		t.Errorf("resumed after the gap: got %s", tell(e))
	}
	p := c.poll(query + "&wait=0")
	if len(p.Gaps) != 1 || len(p.Cursors) == 0 {
		t.Errorf("the poll has gaps %v, cursors %s", p.Gaps, p.Cursors)
	}
}

// Streams and polls of the short way, which join open channels, tell the same.
func TestApartFastPath(t *testing.T) {
	t.Parallel()
	c := overMemory(t, setup{heartbeat: time.Second})
	query := "channel=a&channel=b&cursor=&cursor="
	open := c.open(query)
	want := open.ownCursors()
	if got := c.open(query).ownCursors(); !maps.Equal(got, want) {
		t.Errorf("ready has %v, the first had %v", got, want)
	}
	values := fmt.Sprintf("channel=a&cursor=%s&channel=b&cursor=%s&wait=20s", want["a"], want["b"])
	answered := make(chan answer, 1)
	go func() { answered <- c.sendTo(c.nodes[0], get("/v1/poll?"+values)) }()
	id := c.publish("b", "1")
	p := parsePoll(t, <-answered)
	if got := decode[map[string]string](t, string(p.Cursors)); got["a"] != want["a"] || got["b"] != id {
		t.Errorf("the poll has %v, want b at %s", got, id)
	}
	// One cursor for all: cursors that were not asked for are not sent.
	if ready := c.open("channel=a&channel=b").block(); strings.Contains(ready, "cursors") {
		t.Errorf("got %s", ready)
	}
}

// A problem with one channel of several names it.
func TestProblemsNameChannels(t *testing.T) {
	t.Parallel()
	c := overMemory(t, setup{gateway: anonymously([]string{"open/*"}, nil)})
	for _, test := range []struct {
		query  string
		status int
		about  []string
	}{
		{"channel=open/1&channel=shut&channel=open/2", http.StatusForbidden, []string{"shut"}},
		{"channel=open/1&channel=comet.x", http.StatusForbidden, []string{"comet.x"}},
		{"channel=open/1&channel=%7B", http.StatusBadRequest, []string{"{"}},
		{"channel=open/1&cursor=0-0&channel=open/2&cursor=x", http.StatusBadRequest, []string{"open/2"}},
		{"channel=open/1&cursor=0-0&channel=open/1&cursor=1-0", http.StatusBadRequest, nil},
		{"channel=open/1&channel=open/2&channel=open/3&cursor=&cursor=", http.StatusBadRequest, nil},
		{"channel=open/1&channel=open/2&cursor=&cursor=&last=1&last=x", http.StatusBadRequest, nil},
		{"channel=open/1&channel=open/2&last=1&last=1001", http.StatusBadRequest, nil},
		{"channel=open/1&channel=open/2&cursor=AAAA", http.StatusBadRequest, nil},
	} {
		a := c.send(get("/v1/events?" + test.query))
		var p struct{ Channels []string }
		if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.status != test.status || !slices.Equal(p.Channels, test.about) {
			t.Errorf("%s: %d %s", test.query, a.status, a.body)
		}
	}
}

// The newest messages are as many as were asked for, or fewer with 4 MiB at most:
// then the stream and the poll say that there are more. No answer of a poll is
// much larger than 256 KiB.
func TestLastIsBounded(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		const size, total = 50_000, 100
		data := `"` + strings.Repeat("x", size-2) + `"`
		for range total {
			c.publish("c", data)
		}
		const fit = (4 << 20) / size
		for query, want := range map[string]int{"last=10": 10, "last=1000": fit} {
			p := c.poll("channel=c&wait=0&" + query)
			if p.More != (want == fit) {
				t.Errorf("%s: more is %t", query, p.More)
			}
			got := 0
			for more := true; more; more = len(p.Messages) > 0 {
				if n := len(p.Messages); n > 256<<10/size+1 {
					t.Errorf("%s: %d messages at once", query, n)
				}
				got += len(p.Messages)
				p = c.poll("channel=c&wait=0&cursor=" + p.Cursor)
			}
			if got != want {
				t.Errorf("%s: %d messages, want %d", query, got, want)
			}
			if ready := c.open("channel=c&" + query).block(); strings.Contains(ready, `"more":true`) != (want == fit) {
				t.Errorf("%s: %s", query, ready)
			}
		}
	})
}

// A client that does not read its stream delays no other. Once its place has left
// the tail its stream ends with comet.bye, and from its cursor it gets the rest on
// any node.
func TestSlowReader(t *testing.T) {
	s := setup{tail: pubsub.TailLimits{Messages: 8, Bytes: 1 << 20}, sendBuffer: 8 << 10}
	overEach(t, s, func(t *testing.T, c *cluster) {
		slow := openUnread(t, c.nodes[0])
		healthy := c.openAt(c.nodes[len(c.nodes)-1], "channel=c")
		beside := c.openAt(c.nodes[0], "channel=c")
		healthy.want("ready")
		beside.want("ready")
		const total = 60
		padding := strings.Repeat("x", 16<<10) // altogether more than sockets hold
		for i := range total {
			c.publish("c", fmt.Sprintf(`"%d %s"`, i, padding))
			for _, s := range []*stream{healthy, beside} {
				if got := s.next(); !strings.HasPrefix(tell(got), fmt.Sprintf(`"%d `, i)) {
					t.Fatalf("got %.20s, want %d", tell(got), i)
				}
			}
		}
		got, cursor := drain(t, slow)
		if len(got) == total {
			t.Fatal("everything fitted into the sockets: nothing was tested")
		}
		rest := c.openAt(c.nodes[len(c.nodes)-1], "channel=c&cursor="+cursor)
		rest.want("ready")
		for len(got) < total {
			got = append(got, number(rest.next()))
		}
		for i := range got {
			if got[i] != fmt.Sprint(i) {
				t.Fatalf("got %q", got)
			}
		}
	})
}

// openUnread begins a stream on a connection with little room and reads only
// comet.ready.
func openUnread(t *testing.T, n *node) *wire.Reader {
	t.Helper()
	connection, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	if err := connection.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	// HTTP/1.0: the answer has no chunks and ends with the connection.
	fmt.Fprint(connection, "GET /v1/events?channel=c HTTP/1.0\r\n\r\n")
	events := wire.NewReader(connection, wire.SSE)
	if e, err := events.Next(); err != nil || e.Kind != wire.KindReady {
		t.Fatalf("got %s, %v", tell(e), err)
	}
	return events
}

// drain reads to comet.bye and returns which messages came, and the cursor.
func drain(t *testing.T, events *wire.Reader) (got []string, cursor string) {
	t.Helper()
	for {
		e, err := events.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == wire.KindBye {
			if e.Reason != "slow" {
				t.Errorf("bye %s", e.Reason)
			}
			if _, err := events.Next(); !errors.Is(err, io.EOF) {
				t.Errorf("after bye: %v", err)
			}
			return got, cursor
		}
		got, cursor = append(got, number(e)), e.Cursor
	}
}

// number is what the data of e begins with.
func number(e wire.Event) string {
	before, _, _ := strings.Cut(tell(e), " ")
	return strings.TrimPrefix(before, `"`)
}
