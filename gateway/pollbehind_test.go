package gateway_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"comet/gateway"
	"comet/gateway/wire"
	"comet/pubsub"
)

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
			f.t.Fatalf("gap %+v behind %q", *g, want)
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
