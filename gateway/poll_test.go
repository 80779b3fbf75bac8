package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"comet/gateway"
	"comet/gateway/wire"
	"comet/pubsub"
	"comet/pubsub/membroker"
)

// A poll that finds messages is answered at once, at any node.
func TestPollAtOnce(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		ids := c.publishNumbers("c", 0, 4)
		for query, want := range map[string][]string{
			"cursor=" + ids[1]: {"2", "3", "4"},
			"cursor=earliest":  {"0", "1", "2", "3", "4"},
			"last=2":           {"3", "4"},
		} {
			for _, wait := range []string{"", "&wait=0", "&wait=20s", "&wait=55"} {
				p := c.poll("channel=c&" + query + wait)
				if !slices.Equal(datas(p.Messages), want) || p.Cursor != ids[4] || len(p.Gaps) > 0 {
					t.Errorf("%s%s: got %q, cursor %s, gaps %v", query, wait, datas(p.Messages), p.Cursor, p.Gaps)
				}
			}
		}
	})
}

// A poll without a cursor gives one, from which the next misses nothing.
func TestPollInARow(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		for query, channels := range map[string][]string{"channel=c": {"c"}, "channel=c&channel=d": {"c", "d"}} {
			p := c.poll(query + "&wait=0")
			if len(p.Messages)+len(p.Gaps) > 0 {
				t.Fatalf("got %+v", p)
			}
			for i := range 5 {
				empty := c.poll(query + "&wait=0&cursor=" + p.Cursor)
				if len(empty.Messages) > 0 || !slices.Equal(last(t, channels, empty.Cursor), last(t, channels, p.Cursor)) {
					t.Errorf("got %q; cursor %s, was %s", datas(empty.Messages), empty.Cursor, p.Cursor)
				}
				c.publish("c", fmt.Sprint(2*i))
				c.publish("c", fmt.Sprint(2*i+1))
				var got []string
				for len(got) < 2 {
					p = c.poll(query + "&cursor=" + p.Cursor)
					got = append(got, datas(p.Messages)...)
				}
				if !slices.Equal(got, []string{fmt.Sprint(2 * i), fmt.Sprint(2*i + 1)}) {
					t.Errorf("%s: got %q", query, got)
				}
			}
		}
	})
}

// More than one answer holds comes with the next ones.
func TestPollMuch(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		drafts := make([]byte, 0, 1<<20)
		for i := range 1000 {
			drafts = fmt.Appendf(drafts, "{\"channel\":\"c\",\"data\":%d}\n", i)
		}
		c.batch(asLines, string(drafts))
		c.batch(asLines, string(drafts))
		cursor, got := "0-0", 0
		for got < 2000 {
			p := c.poll("channel=c&cursor=" + cursor)
			for _, m := range p.Messages {
				if string(m.Data) != fmt.Sprint(got%1000) {
					t.Fatalf("message %d is %s", got, m.Data)
				}
				got++
			}
			cursor = p.Cursor
		}
	})
}

func TestPollGap(t *testing.T) {
	overEach(t, setup{size: 10}, func(t *testing.T, c *cluster) {
		ids := c.publishNumbers("c", 0, 299) // Redis trims in blocks
		p := c.poll("channel=c&cursor=" + ids[3])
		if len(p.Gaps) != 1 || p.Gaps[0].Reason != pubsub.Trimmed || p.Gaps[0].From.String() != ids[3] {
			t.Fatalf("gaps %+v", p.Gaps)
		}
		for p.Cursor != ids[299] {
			next := c.poll("channel=c&cursor=" + p.Cursor)
			p.Messages, p.Cursor = append(p.Messages, next.Messages...), next.Cursor
			if len(next.Gaps) > 0 {
				t.Errorf("reported again: %+v", next.Gaps)
			}
		}
		if want := numbersAfter(ids, p.Gaps[0].To.String()); !slices.Equal(datas(p.Messages), want) {
			t.Errorf("got %q, want %q", datas(p.Messages), want)
		}
	})
}

// bubble is a gateway in the memory time of a synctest bubble.
func bubble(t *testing.T, test func(t *testing.T, g *gateway.Gateway, hub *pubsub.Hub)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := membroker.New(membroker.Options{Size: 100, TTL: time.Hour, KeyWindow: time.Minute}).Node()
		hub := pubsub.NewHub(b, pubsub.Options{})
		g, err := gateway.New(gateway.Options{Hub: hub, Node: "n"})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			hub.Close()
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		}()
		test(t, g, hub)
	})
}

// polled is the answer to a poll, and how long it took.
func polled(t *testing.T, g *gateway.Gateway, query string) (*wire.Poll, time.Duration) {
	t.Helper()
	start := time.Now()
	w := httptest.NewRecorder()
	g.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/poll?channel=c"+query, nil))
	return parsePoll(t, answer{w.Code, w.Header(), w.Body.String()}), time.Since(start)
}

// An empty answer comes after the wait, no sooner, and keeps the cursor.
func TestPollWait(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]time.Duration{
		"":             25 * time.Second,
		"&wait=":       25 * time.Second,
		"&wait=0":      0,
		"&wait=0s":     0,
		"&wait=7":      7 * time.Second,
		"&wait=1500ms": 1500 * time.Millisecond,
		"&wait=55s":    55 * time.Second,
	} {
		bubble(t, func(t *testing.T, g *gateway.Gateway, hub *pubsub.Hub) {
			p, took := polled(t, g, "&cursor=0-0"+query)
			if took != want || len(p.Messages)+len(p.Gaps) > 0 || p.Cursor != "0-0" {
				t.Errorf("%q: %+v after %v, want nothing after %v", query, p, took, want)
			}
		})
	}
}

// A poll that waits is answered with the first message, kept or not.
func TestPollAnswered(t *testing.T) {
	t.Parallel()
	for _, ephemeral := range []bool{false, true} {
		bubble(t, func(t *testing.T, g *gateway.Gateway, hub *pubsub.Hub) {
			time.AfterFunc(3*time.Second, func() {
				hub.Publish(t.Context(), []pubsub.Draft{{Channel: "c", Data: []byte("1"), Ephemeral: ephemeral}})
			})
			p, took := polled(t, g, "")
			if took != 3*time.Second || len(p.Messages) != 1 || p.Messages[0].Ephemeral() != ephemeral {
				t.Fatalf("%+v after %v", p, took)
			}
			want := p.Messages[0].ID // zero if ephemeral: nothing moved
			if at := last(t, []string{"c"}, p.Cursor)[0]; at != want {
				t.Errorf("cursor %s is after %v, want %v", p.Cursor, at, want)
			}
		})
	}
}

// last is the newest message before a cursor, in each of its channels.
func last(t *testing.T, channels []string, cursor string) []pubsub.ID {
	t.Helper()
	at, err := pubsub.ParseCursorSet(channels, cursor)
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]pubsub.ID, len(at))
	for i := range at {
		ids[i] = at[i].Last()
	}
	return ids
}

// A node that leaves answers its polls.
func TestPollLeave(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, g *gateway.Gateway, hub *pubsub.Hub) {
		time.AfterFunc(3*time.Second, func() { g.Drain(0) })
		if p, took := polled(t, g, ""); took != 3*time.Second || len(p.Messages) > 0 || p.Cursor == "" {
			t.Errorf("%+v after %v", p, took)
		}
	})
}

// poller is one connection that polls by hand.
type poller struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func newPoller(t testing.TB, n *node) *poller {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	p := &poller{t, c, bufio.NewReader(c)}
	p.wait()
	return p
}

// wait gives what comes next its time.
func (p *poller) wait() { _ = p.SetDeadline(time.Now().Add(patience)) }

func (p *poller) send(path, header string) {
	p.t.Helper()
	p.wait()
	if _, err := fmt.Fprintf(p, "GET %s HTTP/1.1\r\nHost: h\r\n%s\r\n", path, header); err != nil {
		p.t.Fatal(err)
	}
}

func (p *poller) response() (status int, body string) {
	p.t.Helper()
	p.wait()
	res, err := http.ReadResponse(p.r, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if res.Header.Get("Comet-Node") == "" || res.Header.Get("Date") == "" {
		p.t.Errorf("header %v", res.Header)
	}
	return res.StatusCode, string(b)
}

func (p *poller) answer() *wire.Poll {
	p.t.Helper()
	status, body := p.response()
	answer, err := wire.ParsePoll([]byte(body))
	if status != http.StatusOK || err != nil {
		p.t.Fatalf("status %d, %s: %v", status, body, err)
	}
	return answer
}

// One connection polls on and on, while it is published to, with everything
// else in between that a connection can see: each message comes once, in order.
func TestPollAgain(t *testing.T) {
	overEach(t, setup{tail: pubsub.TailLimits{Messages: 20, Bytes: 1 << 20}}, func(t *testing.T, c *cluster) {
		p := newPoller(t, c.nodes[0])
		p.send("/v1/poll?channel=c&channel=d&wait=0", "")
		cursor := p.answer().Cursor
		const total = 300
		var publisher sync.WaitGroup
		publisher.Go(func() {
			for i := range total {
				c.publish("cd"[i%2:i%2+1], fmt.Sprint(i))
			}
		})
		defer publisher.Wait()
		var got [2]int // the next number of each channel
		got[1] = 1
		for n := 0; got[0] < total || got[1] < total; n++ {
			poll := "/v1/poll?channel=c&channel=d&cursor=" + cursor
			switch n % 7 {
			case 1: // another request in between
				p.send("/v1/channels/c/messages?limit=1", "")
				p.response()
			case 2: // pipelined
				p.send("/v1/channels/c/messages?limit=1", "")
				p.send(poll, "")
				p.response()
			case 3: // an error in between
				p.send("/v1/poll?channel=c&cursor=nonsense", "")
				if status, _ := p.response(); status != http.StatusBadRequest {
					t.Errorf("status %d, want 400", status)
				}
			case 4: // plain polling
				poll += "&wait=0"
			case 5: // in two pieces
				fmt.Fprintf(p, "GET %s HT", poll)
				fmt.Fprint(p, "TP/1.1\r\nHost: h\r\n\r\n")
				poll = ""
			}
			if poll != "" && n%7 != 2 {
				p.send(poll, "")
			}
			a := p.answer()
			cursor = a.Cursor
			for _, m := range a.Messages {
				i := strings.Index("cd", m.Channel)
				if want := fmt.Sprint(got[i]); string(m.Data) != want {
					t.Fatalf("channel %s: got %s, want %s", m.Channel, m.Data, want)
				}
				got[i] += 2
			}
			if len(a.Gaps) > 0 {
				t.Fatalf("gap %+v", *a.Gaps[0])
			}
		}
	})
}

// The next request on the connection of a parked poll is checked as any other.
func TestPollAgainIsChecked(t *testing.T) {
	overEach(t, setup{gateway: anonymously([]string{"c"}, nil)}, func(t *testing.T, c *cluster) {
		p := newPoller(t, c.nodes[0])
		poll := func(query, header string) int {
			t.Helper()
			p.send("/v1/poll?channel=c&wait=20ms&last=1", "")
			cursor := p.answer().Cursor
			p.send("/v1/poll?channel=c&wait=20ms&cursor="+cursor, "")
			p.answer()
			p.send("/v1/poll?"+strings.ReplaceAll(query, "CURSOR", cursor), header)
			status, _ := p.response()
			return status
		}
		for _, test := range []struct {
			query, header string
			want          int
		}{
			{"channel=c&wait=20ms&cursor=CURSOR", "", 200},
			{"channel=c&wait=20ms", "Last-Event-ID: CURSOR\r\n", 400}, // the header is no cursor
			{"channel=forbidden&wait=20ms&cursor=CURSOR", "", 403},
			{"channel=c&wait=1h&cursor=CURSOR", "", 400},
			{"channel=c&last=x&cursor=CURSOR", "", 400},
			{"channel=c&channel=c&wait=20ms&cursor=CURSOR", "", 200},
			{"channel=c&wait=20ms&cursor=CURSOR&%zz", "", 400},
			{"wait=20ms&cursor=CURSOR", "", 400},
			{"channel=c&wait=20ms&cursor=CURSOR", "Connection: close\r\n", 200},
		} {
			if got := poll(test.query, test.header); got != test.want {
				t.Errorf("%s %q: status %d, want %d", test.query, test.header, got, test.want)
			}
		}
	})
}

// A poll that is answered as it is parked, with more than its socket takes,
// goes back to the server and touches no other connection: that another client
// leaves is still seen.
func TestPollAnsweredAtOnce(t *testing.T) {
	overEach(t, setup{sendBuffer: 4 << 10, limits: gateway.Limits{Connections: 2, Message: 1 << 20}}, func(t *testing.T, c *cluster) {
		n := c.nodes[0]
		p := newPoller(t, n)
		c.publish("c", "0") // the tail holds no place before the first message
		p.send("/v1/poll?channel=c&wait=0&last=1", "")
		cursor := p.answer().Cursor
		other := c.openAt(n, "channel=c")
		other.next()
		data := strings.Repeat("x", 900<<10)
		c.publish("c", `"`+data+`"`)
		p.send("/v1/poll?channel=c&cursor="+cursor, "")
		if a := p.answer(); len(a.Messages) != 1 || len(a.Messages[0].Data) != len(data)+2 {
			t.Fatalf("got %d messages", len(a.Messages))
		}
		p.send("/v1/channels/c/messages?limit=1", "")
		p.response()
		other.leave()
		c.openAt(n, "channel=c").next()
		deadline := time.Now().Add(patience / 3) // a full socket is given up after 30 s in any case
		for {                                    // both places are free once the other's end was seen
			second := newPoller(t, n)
			second.send("/v1/poll?channel=c&wait=1ms", "")
			if status, _ := second.response(); status == http.StatusOK {
				return
			}
			if time.Now().After(deadline) {
				t.Fatal("the client that left still counts")
			}
		}
	})
}

// behindTail runs test over logs that still have all that is published, and
// over some that have not; then there is a gap. The tails are short.
func behindTail(t *testing.T, s setup, test func(t *testing.T, c *cluster, query string, trimmed bool)) {
	s.tail = pubsub.TailLimits{Messages: 8, Bytes: 1 << 20}
	for _, query := range []string{"channel=c", "channel=c&channel=d"} {
		for _, size := range []int{10_000, 10} {
			t.Run(fmt.Sprint(query, ", log of ", size), func(t *testing.T) {
				s.size = size
				overEach(t, s, func(t *testing.T, c *cluster) {
					c.openAt(c.nodes[0], query).want("ready") // the channels stay open
					c.publish("c", `"before"`)
					test(t, c, query, size == 10)
				})
			})
		}
	}
}

// behindTotal is more than fits into a tail, and so much that Redis, which trims
// in blocks, has trimmed.
const behindTotal = 300

// pollFollower is what came to one that polls.
type pollFollower struct {
	*poller
	query, cursor string
	start         string   // the newest message when it began
	got           []string // by number
	gaps          []*pubsub.Gap
}

func followByPoll(c *cluster, query string) *pollFollower {
	c.t.Helper()
	p := newPoller(c.t, c.nodes[0])
	f := &pollFollower{poller: p, query: "/v1/poll?" + query}
	for { // the relay may be behind
		p.send(f.query+"&wait=0&last=1", "")
		if a := p.answer(); len(a.Messages) == 1 {
			f.cursor, f.start = a.Cursor, a.Messages[0].ID.String()
			return f
		}
	}
}

func (f *pollFollower) ask() { f.send(f.query+"&cursor="+f.cursor, "") }

func (f *pollFollower) take(a *wire.Poll) {
	f.cursor = a.Cursor
	f.gaps = append(f.gaps, a.Gaps...)
	for _, m := range a.Messages {
		f.got = append(f.got, number(wire.Event{Message: m}))
	}
}

// finish polls on up to the last message and checks that everything came, but
// for what the gaps say.
func (f *pollFollower) finish(ids []string) {
	f.t.Helper()
	for len(f.got) == 0 || f.got[len(f.got)-1] != fmt.Sprint(len(ids)-1) {
		f.ask()
		f.take(f.answer())
	}
	all := slices.Concat([]string{f.start}, ids)
	var want []string
	next := 0 // the number of the next message
	for _, g := range f.gaps {
		from, to := slices.Index(all, g.From.String()), slices.Index(all, g.To.String())
		if g.Reason != pubsub.Trimmed || g.Channel != "c" || from < next || to <= from {
			f.t.Fatalf("gap %+v after %q", *g, want)
		}
		want = append(want, numbers(from)[next:]...)
		next = to
	}
	if want = append(want, numbers(len(ids))[next:]...); !slices.Equal(f.got, want) {
		f.t.Fatalf("got %q, want %q", f.got, want)
	}
}

// A connection that rested while its cursor left the tail is answered from the
// log.
func TestRestingBehindTail(t *testing.T) {
	t.Parallel()
	behindTail(t, setup{}, func(t *testing.T, c *cluster, query string, trimmed bool) {
		f := followByPoll(c, query)
		c.publish("c", `"more"`)
		f.ask()
		a := f.answer() // from here on it rests
		f.cursor, f.start = a.Cursor, a.Messages[0].ID.String()
		f.finish(c.publishNumbers("c", 0, behindTotal-1))
		if trimmed != (len(f.gaps) == 1) {
			t.Errorf("gaps %+v", f.gaps)
		}
	})
}

// So is one that does not read its answers, and has asked for more.
func TestUnreadBehindTail(t *testing.T) {
	t.Parallel()
	behindTail(t, setup{sendBuffer: 8 << 10, limits: gateway.Limits{Message: 1 << 20}}, func(t *testing.T, c *cluster, query string, trimmed bool) {
		f := followByPoll(c, query)
		f.ask()
		f.ask() // the same again

		large := strings.Repeat("x", 900<<10) // no socket takes it
		ids := []string{c.publish("c", `"0 `+large+`"`)}
		ids = append(ids, c.publishNumbers("c", 1, behindTotal-1)...)
		first := *f
		first.take(f.answer())
		f.take(f.answer())
		for _, f := range []*pollFollower{&first, f} {
			if f.finish(ids); !trimmed && len(f.gaps) > 0 {
				t.Errorf("gaps %+v, but the log has all", f.gaps)
			}
		}
	})
}
