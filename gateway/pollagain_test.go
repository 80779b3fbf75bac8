package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"comet/gateway"
	"comet/gateway/wire"
	"comet/pubsub"
)

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

// What a parked poll's connection sends next is checked as any request is.
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
