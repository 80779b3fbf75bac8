package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"comet/gateway/wire"
)

// edge is a node that gets odd requests. Two neighbours, a stream and a poller,
// have channel live open and must get all of its messages all the while.
type edge struct {
	*node
	publisher   *poller
	neighbours  []*neighbour
	old, newest string // cursors in live: there are messages after old
	number      int    // of the newest message
}

// neighbour is a subscriber of live. more waits for the IDs of what comes next.
type neighbour struct {
	*poller
	more func() []string
	got  []string // and not yet compared
}

func newEdge(t testing.TB, n *node) *edge {
	t.Helper()
	e := &edge{node: n, publisher: newPoller(t, n)}
	e.post("live", "0") // the tail holds no place before the first message
	e.neighbours = []*neighbour{newStreamNeighbour(t, n), newPollNeighbour(t, n, &e.newest)}
	e.old = e.newest
	e.publish()
	return e
}

func newStreamNeighbour(t testing.TB, n *node) *neighbour {
	p := newPoller(t, n)
	p.send("/v1/events?channel=live", "")
	res, err := http.ReadResponse(p.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	events := wire.NewReader(res.Body, wire.SSE)
	next := func() wire.Event {
		e, err := events.Next()
		if err != nil || e.Kind != wire.KindReady && e.Kind != wire.KindMessage {
			p.t.Fatalf("the stream beside it got %s, %v", tell(e), err)
		}
		return e
	}
	next()
	return &neighbour{poller: p, more: func() []string { return []string{next().Message.ID.String()} }}
}

// newPollNeighbour also sets cursor to where it begins.
func newPollNeighbour(t testing.TB, n *node, cursor *string) *neighbour {
	p := newPoller(t, n)
	p.send("/v1/poll?channel=live&wait=0&last=1", "")
	*cursor = p.answer().Cursor
	p.send(pollLive(*cursor), "")
	return &neighbour{poller: p, more: func() (ids []string) {
		a := p.answer()
		if len(a.Gaps) > 0 {
			p.t.Fatalf("the poll beside it got a gap: %+v", *a.Gaps[0])
		}
		p.send(pollLive(a.Cursor), "")
		for _, m := range a.Messages {
			ids = append(ids, m.ID.String())
		}
		return ids
	}}
}

func pollLive(cursor string) string { return "/v1/poll?channel=live&wait=20s&cursor=" + cursor }

// lend makes t the test that e fails.
func (e *edge) lend(t testing.TB) {
	for _, p := range []*poller{e.publisher, e.neighbours[0].poller, e.neighbours[1].poller} {
		p.t = t
		p.wait()
	}
}

// post publishes data and returns the message's ID.
func (e *edge) post(channel, data string) string {
	p := e.publisher
	p.t.Helper()
	fmt.Fprintf(p, "POST %s HTTP/1.1\r\nHost: h\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
		channelPath(channel), asJSON, len(data), data)
	status, body := p.response()
	if status != http.StatusCreated {
		p.t.Fatalf("publish: %d %s", status, body)
	}
	return decode[receipt](p.t, body).ID
}

// publish publishes the next number to live, and checks that the neighbours get
// what live has had since the last time: the number, and what others published.
func (e *edge) publish() {
	p := e.publisher
	p.t.Helper()
	e.number++
	id := e.post("live", fmt.Sprint(e.number))
	p.send(channelPath("live")+"?limit=1000&after="+e.newest, "")
	_, body := p.response()
	h, err := wire.ParseHistory([]byte(body))
	if err != nil {
		p.t.Fatal(err)
	}
	var want []string
	for _, m := range h.Messages {
		if want = append(want, m.ID.String()); m.ID.String() == id {
			break
		}
	}
	for _, n := range e.neighbours {
		for len(n.got) < len(want) {
			for _, id := range n.more() {
				if id != "0-0" { // ephemeral: in no history
					n.got = append(n.got, id)
				}
			}
		}
		if !slices.Equal(n.got[:len(want)], want) {
			p.t.Fatalf("a neighbour got %q, want %q", n.got, want)
		}
		n.got = n.got[len(want):]
	}
	e.newest = id
}

// roundTrip gives the node time for what it was sent before.
func (e *edge) roundTrip() {
	e.publisher.send(channelPath("live")+"?limit=1", "")
	e.publisher.response()
}

// settled waits until only the edge's own connections are there.
func (e *edge) settled() {
	t := e.publisher.t
	t.Helper()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	late := time.After(patience)
	for {
		open, held := e.listener.Open(), e.gateway.Connections()
		if open == 3 && held == 2 {
			return
		}
		select {
		case <-look.C:
		case <-late:
			t.Fatalf("%d connections, %d streams and polls are left, want 3 and 2", open, held)
		}
	}
}

// meeting is how a request comes to a connection.
type meeting uint8

const (
	first     meeting = iota // as its first
	afterPoll                // in one write with a poll
	whileParked
	atRest // after a poll that was parked
	afterStream
	meetings
)

func (m meeting) String() string {
	return []string{"first", "after a poll", "while parked", "at rest", "after a stream"}[m]
}

// bring does on p what comes before the meeting, but for prefix, which is still
// to be written.
func (e *edge) bring(p *poller, m meeting) (prefix string) {
	p.t.Helper()
	switch m {
	case afterPoll:
		return "GET " + pollLive(e.newest) + " HTTP/1.1\r\nHost: h\r\n\r\n"
	case whileParked:
		p.send(pollLive(e.newest), "")
		e.roundTrip()
	case atRest:
		p.send(pollLive(e.old), "")
		p.answer()
	case afterStream:
		p.send("/v1/events?channel=live", "")
		waitFor(p.t, p.r, "comet.ready")
	}
	return ""
}

// answered ends the poll of the meeting, and checks that it was answered before
// the requests after it.
func (e *edge) answered(p *poller, m meeting) {
	p.t.Helper()
	e.publish()
	if m != afterPoll && m != whileParked {
		return
	}
	if a := p.answer(); len(a.Messages) != 1 || len(a.Gaps) > 0 || a.Cursor != e.newest {
		p.t.Fatalf("the poll before it got %q, gaps %v, cursor %s, want %s", datas(a.Messages), a.Gaps, a.Cursor, e.newest)
	}
}

// text is a request with CURSOR filled in.
func (e *edge) text(text string) string { return strings.ReplaceAll(text, "CURSOR", e.newest) }

// write sends text in pieces that end at the places given, and gives the node
// time between them. A refusal is an answer, too.
func (e *edge) write(p *poller, text string, at ...int) {
	slices.Sort(at)
	done := 0
	for _, end := range append(at, len(text)) {
		if end = min(end, len(text)); end == done {
			continue
		}
		if _, err := p.Write([]byte(text[done:end])); err != nil {
			return
		}
		if done = end; done < len(text) {
			e.roundTrip()
		}
	}
}

// Any bytes come in any pieces on any kind of connection, which ends in any way:
// the node goes on serving, its neighbours get everything exactly, and no
// connection stays counted.
func FuzzRequestEdge(f *testing.F) {
	for _, name := range slices.Sorted(maps.Keys(odd)) {
		test := odd[name]
		for m := range meetings {
			f.Add(test.text, uint16(7), uint16(1000), uint8(m), uint8(0))
			f.Add(test.text, uint16(len(test.text)), uint16(0), uint8(m), uint8(1+m%2))
		}
	}
	// net/http does not see a client leave whose body it has not read; the
	// heartbeats do.
	c := overMemory(f, setup{quiet: true, heartbeat: 100 * time.Millisecond})
	e := newEdge(f, c.nodes[0])
	f.Fuzz(func(t *testing.T, text string, cut, cutAgain uint16, how, end uint8) {
		e.lend(t)
		p := newPoller(t, e.node)
		m := meeting(how) % meetings
		prefix := e.bring(p, m)
		e.write(p, prefix+e.text(text), len(prefix)+int(cut), len(prefix)+int(cutAgain))
		switch tcp := p.Conn.(*net.TCPConn); end % 4 {
		case 0:
			e.answered(p, m)
		case 1: // while it goes on
			_ = tcp.CloseWrite()
			e.publish()
		case 2: // resets
			_ = tcp.SetLinger(0)
			p.Close()
			e.publish()
		case 3: // goes at once
		}
		p.Close()
		e.publish()
		e.settled()
	})
}

// A poll comes in two pieces, wherever they part, also while the poll before it
// is parked, and is answered as if it had come whole.
func TestSplitPoll(t *testing.T) {
	t.Parallel()
	c := overMemory(t, setup{quiet: true})
	e := newEdge(t, c.nodes[0])
	text := "GET " + pollLive(e.old) + " HTTP/1.1\r\nHost: h\r\nX-More: yes\r\n\r\n"
	for _, m := range []meeting{first, afterPoll, whileParked, atRest} {
		t.Run(m.String(), func(t *testing.T) {
			e.lend(t)
			p := newPoller(t, e.node)
			for at := range len(text) {
				prefix := e.bring(p, m)
				e.write(p, prefix+e.text(text), len(prefix)+at)
				e.answered(p, m)
				got := datas(p.answer().Messages)
				if want := numbers(e.number + 1)[1:]; len(got) < len(want)-1 || !slices.Equal(got, want[:len(got)]) {
					t.Fatalf("split at %d: got %q, want %q, or one less", at, got, want)
				}
			}
			p.Close()
			e.settled()
		})
	}
}

// odd are requests that few clients send, and how each answer begins. CURSOR
// stands for one that is in the tail.
var odd = map[string]struct {
	text    string
	answers []string
}{
	"HTTP/1.0":            {"GET /v1/events?channel=c HTTP/1.0\r\n\r\n", []string{"HTTP/1.0 200"}},
	"HTTP/1.0 keep-alive": {"GET /v1/events?channel=c HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", []string{"HTTP/1.0 200"}},
	"close":               {"GET /v1/events?channel=c HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", ok},
	"HEAD":                {"HEAD /v1/events?channel=c HTTP/1.1\r\nHost: h\r\n\r\n", []string{"HTTP/1.1 405"}},
	"Expect":              {"GET /v1/events?channel=c HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n", ok},
	"Expect with a body":  {"GET /v1/events?channel=c HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc", ok},
	"bytes after it":      {"GET /v1/events?channel=c HTTP/1.1\r\nHost: h\r\n\r\nwhatever\r\n\r\n", ok},
	"a request after it":  {"GET /v1/events?channel=c HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", ok},
	"absolute-form":       {"GET http://h/v1/events?channel=c HTTP/1.1\r\nHost: h\r\n\r\n", ok},
	"many headers":        {"GET /v1/events?channel=c HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("X-Much: "+strings.Repeat("y", 1000)+"\r\n", 100) + "\r\n", ok},
	"nonsense":            {"\x00\r\n\r\n", bad},
	"no Host":             {"GET /v1/events?channel=c HTTP/1.1\r\n\r\n", bad},

	"a poll":                    {briefPoll + "Host: h\r\n\r\n", ok},
	"a poll over HTTP/1.0":      {"GET /v1/poll?channel=live&wait=10ms&cursor=CURSOR HTTP/1.0\r\n\r\n", []string{"HTTP/1.0 200"}},
	"a poll, then close":        {briefPoll + "Host: h\r\nConnection: close\r\n\r\n", ok},
	"a poll with HEAD":          {"HEAD /v1/poll?channel=c HTTP/1.1\r\nHost: h\r\n\r\n", []string{"HTTP/1.1 405"}},
	"a poll with Expect":        {briefPoll + "Host: h\r\nExpect: 100-continue\r\n\r\n", ok},
	"a poll with Upgrade":       {briefPoll + "Host: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", ok},
	"a poll with a body":        {briefPoll + "Host: h\r\nContent-Length: 3\r\n\r\nabc", ok},
	"a poll with chunks":        {briefPoll + "Host: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", ok},
	"a poll with bare newlines": {strings.ReplaceAll(briefPoll+"Host: h\r\n\r\n", "\r", ""), ok},
	"a poll, absolute-form":     {strings.Replace(briefPoll, "/v1", "http://h/v1", 1) + "Host: h\r\n\r\n", ok},
	"a poll without Host":       {briefPoll + "\r\n", bad},
	"a poll with a bad Host":    {briefPoll + "Host: h h\r\n\r\n", bad},
	"a poll with two Hosts":     {briefPoll + "Host: h\r\nHost: i\r\n\r\n", bad},
	"a poll with a bad header":  {briefPoll + "Host: h\r\nX-Bad: \x01\r\n\r\n", bad},
	"a poll of no channel":      {"GET /v1/poll HTTP/1.1\r\nHost: h\r\n\r\n", bad},
	"two polls":                 {briefPoll + "Host: h\r\n\r\n" + briefPoll + "Host: h\r\n\r\n", slices.Concat(ok, ok)},
	"a poll, then a publish":    {briefPoll + "Host: h\r\n\r\n" + publishOne, slices.Concat(ok, created)},
	"a publish, then a poll":    {publishOne + briefPoll + "Host: h\r\n\r\n", slices.Concat(created, ok)},
	"a publish with chunks":     {publishHead + "Transfer-Encoding: chunked\r\n\r\n1\r\n4\r\n1\r\n2\r\n0\r\n\r\n", created},
	"a publish with Expect":     {publishHead + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n42", slices.Concat([]string{"HTTP/1.1 100"}, created)},
}

const (
	briefPoll   = "GET /v1/poll?channel=live&wait=10ms&cursor=CURSOR HTTP/1.1\r\n"
	publishHead = "POST " + publishTo + " HTTP/1.1\r\nHost: h\r\nContent-Type: " + asJSON + "\r\n"
	publishOne  = publishHead + "Content-Length: 2\r\n\r\n42"
)

var (
	ok      = []string{"HTTP/1.1 200"}
	created = []string{"HTTP/1.1 201"}
	bad     = []string{"HTTP/1.1 400"}
)

// Odd clients get the stream, or the answers, that their request means, whatever
// their connection was used for before.
func TestOddClients(t *testing.T) {
	t.Parallel()
	c := overMemory(t, setup{quiet: true, heartbeat: 320 * time.Millisecond}) // polls end soon after their time
	e := newEdge(t, c.nodes[0])
	for m := range afterStream {
		for name, test := range odd {
			t.Run(m.String()+"/"+name, func(t *testing.T) {
				e.lend(t)
				p := newPoller(t, e.node)
				e.write(p, e.bring(p, m)+e.text(test.text))
				e.answered(p, m)
				for _, want := range test.answers {
					method, _, _ := strings.Cut(test.text, " ")
					res, err := http.ReadResponse(p.r, &http.Request{Method: method})
					if err != nil {
						t.Fatalf("%v, want %s", err, want)
					}
					if got := res.Proto + " " + res.Status; !strings.HasPrefix(got, want) {
						t.Fatalf("got %s, want %s", got, want)
					}
					body := bufio.NewReader(res.Body)
					if res.Header.Get("Content-Type") == wire.SSE.ContentType() {
						waitFor(t, body, "event: comet.ready\n")
						e.post("c", `"for `+name+`"`)
						waitFor(t, body, `"data":"for `+name+`"`)
						break
					}
					if _, err := io.Copy(io.Discard, body); err != nil {
						t.Fatal(err)
					}
				}
				p.Close()
				e.settled()
			})
		}
	}
}

// waitFor reads lines until one has text.
func waitFor(t testing.TB, r *bufio.Reader, text string) {
	t.Helper()
	for {
		line, err := r.ReadString('\n')
		if strings.Contains(line, text) {
			return
		}
		if err != nil {
			t.Fatalf("no %q: %v", text, err)
		}
	}
}

// Over TLS and HTTP/2 a stream is not parked, and has the same events.
func TestTLS(t *testing.T) {
	t.Parallel()
	for _, version := range []int{1, 2} {
		c := overMemory(t, setup{})
		server := httptest.NewUnstartedServer(c.nodes[0].gateway)
		server.EnableHTTP2 = version == 2
		server.StartTLS()
		t.Cleanup(server.Close)
		res, err := server.Client().Get(server.URL + "/v1/events?channel=c&channel=d")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		if res.ProtoMajor != version {
			t.Fatalf("got %s", res.Proto)
		}
		s := &stream{t: t, events: wire.NewReader(res.Body, wire.SSE)}
		s.want("ready")
		c.publish("c", "1")
		c.publish("d", "2")
		s.want("1", "2")
	}
}
