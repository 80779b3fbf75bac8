package gateway_test

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"comet/gateway/wire"
)

// edge is where whatever comes meets a node. Two neighbours, a stream and a
// poller, have channel live open and must get all of it, whatever it is.
type edge struct {
	*node
	publisher   *poller
	neighbours  []*neighbour
	old, newest string // cursors in live: messages are behind old
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
	first      meeting = iota // as its first
	behindPoll                // in one write with a poll
	whileParked
	atRest // after a poll that was parked
	behindStream
	meetings
)

func (m meeting) String() string {
	return []string{"first", "behind a poll", "while parked", "at rest", "behind a stream"}[m]
}

// bring does on p what comes before the meeting, but for prefix, which is still
// to be written.
func (e *edge) bring(p *poller, m meeting) (prefix string) {
	p.t.Helper()
	switch m {
	case behindPoll:
		return "GET " + pollLive(e.newest) + " HTTP/1.1\r\nHost: h\r\n\r\n"
	case whileParked:
		p.send(pollLive(e.newest), "")
		e.roundTrip()
	case atRest:
		p.send(pollLive(e.old), "")
		p.answer()
	case behindStream:
		p.send("/v1/events?channel=live", "")
		waitFor(p.t, p.r, "comet.ready")
	}
	return ""
}

// answered ends the poll of the meeting, and checks that it was answered before
// anything behind it.
func (e *edge) answered(p *poller, m meeting) {
	p.t.Helper()
	e.publish()
	if m != behindPoll && m != whileParked {
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

// Whatever comes, in whatever pieces, to whatever connection, and however that
// ends: the node goes on serving, its neighbours get everything exactly, and no
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
	c := overMemory(f, setup{heartbeat: 100 * time.Millisecond})
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
	c := overMemory(t, setup{})
	e := newEdge(t, c.nodes[0])
	text := "GET " + pollLive(e.old) + " HTTP/1.1\r\nHost: h\r\nX-More: yes\r\n\r\n"
	for _, m := range []meeting{first, behindPoll, whileParked, atRest} {
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
