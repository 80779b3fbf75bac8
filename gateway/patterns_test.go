package gateway_test

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"comet/gateway/wire"
	"comet/pubsub"
)

// ordered has a rule with patterns, in four index logs.
var ordered = setup{index: []pubsub.IndexRule{{Match: "orders/**", Logs: 4}}, heartbeat: time.Second}

// Streams of every format and polls of a pattern get every message of its channels in
// order and once, while they move from node to node with their cursors, and nothing else.
func TestPatternTransports(t *testing.T) {
	overEach(t, ordered, func(t *testing.T, c *cluster) {
		const channels, each = 12, 20
		var followers sync.WaitGroup
		defer followers.Wait()
		begun := make(chan struct{}, 5)
		for _, how := range []string{"sse", "ndjson", "moving", "poll", "with a channel"} {
			query := "channel=orders/*"
			if how == "with a channel" {
				query += "&channel=orders/3&channel=orders/*/new"
			}
			followers.Go(func() {
				got := make(map[string]int)
				take := func(m *pubsub.Message) bool {
					if !strings.HasPrefix(m.Channel, "orders/") || strings.HasSuffix(m.Channel, "/paid") || string(m.Data) != fmt.Sprint(got[m.Channel]) {
						t.Errorf("%s: got %s of %s, want %d", how, m.Data, m.Channel, got[m.Channel])
						return true
					}
					got[m.Channel]++
					n := 0
					for _, count := range got {
						n += count
					}
					if how == "with a channel" {
						return n == 2*channels*each
					}
					return n == channels*each
				}
				if how == "poll" {
					cursor := c.poll(query + "&wait=0").Cursor
					begun <- struct{}{}
					for {
						answer := c.poll(query + "&wait=1&cursor=" + cursor)
						cursor = answer.Cursor
						for _, m := range answer.Messages {
							if take(m) {
								return
							}
						}
					}
				}
				var header []string
				if how == "ndjson" {
					header = []string{"Accept", "application/x-ndjson"}
				}
				s := c.openAt(c.nodes[0], query, header...)
				s.want("ready")
				begun <- struct{}{}
				for n := 1; ; n++ {
					e := s.next()
					if e.Kind == wire.KindCursor {
						continue
					}
					if e.Kind != wire.KindMessage || take(e.Message) {
						if e.Kind != wire.KindMessage {
							t.Errorf("%s: got %s", how, tell(e))
						}
						return
					}
					if how == "moving" && n%17 == 0 {
						s.leave()
						s = c.openAt(c.nodes[n%len(c.nodes)], query+"&cursor="+url.QueryEscape(s.cursor), header...)
						s.want("ready")
					}
				}
			})
		}
		for range cap(begun) {
			<-begun
		}
		for i := range each {
			for n := range channels {
				for _, suffix := range []string{"", "/new", "/paid"} {
					c.nodes[n%len(c.nodes)].hub.Publish(t.Context(), []pubsub.Draft{{Channel: fmt.Sprintf("orders/%d%s", n, suffix), Data: fmt.Append(nil, i)}})
				}
			}
		}
	})
}

// A page of a pattern's history has messages of all its channels by their IDs; paging
// meets each once, both ways.
func TestPatternHistory(t *testing.T) {
	overEach(t, ordered, func(t *testing.T, c *cluster) {
		var all []string
		for i := range 5 {
			for n := range 6 {
				c.publish(fmt.Sprintf("orders/%d", n), fmt.Sprint(i))
				all = append(all, fmt.Sprintf("orders/%d %d", n, i))
				c.publish(fmt.Sprintf("orders/%d/new", n), fmt.Sprint(i))
			}
		}
		slices.Sort(all)
		for _, order := range []string{"asc", "desc"} {
			for _, limit := range []int{3, 7, 30, 1000} {
				var got []string
				var last pubsub.ID
				more := ""
				for page, pages := (&wire.History{More: true}), 0; page.More && pages < 50; pages++ {
					page = c.history("orders/*", fmt.Sprintf("order=%s&limit=%d%s", order, limit, more))
					for _, m := range page.Messages {
						if c := m.ID.Compare(last); !last.IsZero() && (c < 0) != (order == "desc") && c != 0 {
							t.Fatalf("%s by %d: %v after %v", order, limit, m.ID, last)
						}
						last = m.ID
						got = append(got, m.Channel+" "+string(m.Data))
					}
					more = map[string]string{"asc": "&after=", "desc": "&before="}[order] + last.String()
				}
				slices.Sort(got)
				if !slices.Equal(got, all) {
					t.Errorf("%s by %d: got %d messages, want %d: %q", order, limit, len(got), len(all), got)
				}
			}
		}
	})
}

// Cursors of their own, and overlapping patterns.
func TestPatternCursors(t *testing.T) {
	overEach(t, ordered, func(t *testing.T, c *cluster) {
		query := "channel=orders/1&channel=orders/**&cursor=&cursor="
		s := c.open(query)
		own := s.ownCursors()
		if names := slices.Sorted(maps.Keys(own)); !slices.Equal(names, []string{"orders/**", "orders/1"}) {
			t.Fatalf("ready has cursors of %q", names)
		}
		c.publish("orders/1", "1")
		c.publish("orders/2", "2")
		for range 2 { // each once, in any order
			if e := s.next(); e.Kind != wire.KindMessage {
				t.Errorf("got %s", tell(e))
			}
		}
		p := c.poll("channel=orders/**&wait=0&cursor=" + url.QueryEscape(own["orders/**"]))
		if got := datas(p.Messages); len(got) != 2 {
			t.Errorf("after the pattern's own cursor: got %q", got)
		}
		// A cursor of another index is a gap, and no error.
		p = c.poll("channel=orders/**&wait=0&cursor=" + c.publish("orders/1", "3"))
		if len(p.Gaps) != 4 || p.Gaps[0].Channel != "orders/**" || len(p.Messages) != 3 {
			t.Errorf("after a cursor that does not fit: %d gaps, %q", len(p.Gaps), datas(p.Messages))
		}
		p = c.poll("channel=orders/**&last=2&wait=0")
		if len(p.Messages) != 2 {
			t.Errorf("the last two are %q", datas(p.Messages))
		}
	})
}

// A stream that gets few of many messages gets a newer cursor from time to time.
func TestPatternCursorMoves(t *testing.T) {
	overEach(t, ordered, func(t *testing.T, c *cluster) {
		query := "channel=orders/*/rare"
		s := c.open(query)
		s.want("ready")
		c.publish("orders/1/rare", "0")
		s.want("0")
		for i := range 300 {
			c.publish(fmt.Sprintf("orders/%d", i), "1")
		}
		e := s.next()
		if e.Kind != wire.KindCursor {
			t.Fatalf("got %s, want a cursor", tell(e))
		}
		c.publish("orders/2/rare", "2")
		p := c.poll(query + "&wait=0&cursor=" + url.QueryEscape(e.Cursor))
		if got := datas(p.Messages); !slices.Equal(got, []string{"2"}) || len(p.Gaps) > 0 {
			t.Errorf("after that: %q, %d gaps", got, len(p.Gaps))
		}
		// A poll that has nothing for its client moves its cursor too.
		before := p.Cursor
		c.publish("orders/7", "1")
		if p = c.poll(query + "&wait=0&cursor=" + url.QueryEscape(before)); p.Cursor == before || len(p.Messages) > 0 {
			t.Errorf("the cursor is still %s; got %q", p.Cursor, datas(p.Messages))
		}
	})
}

// Refusals say how to fix the request.
func TestPatternRefused(t *testing.T) {
	t.Parallel()
	s := ordered
	s.gateway = anonymously([]string{"orders/vip/**", "orders/1", "news"}, []string{"**"})
	c := overMemory(t, s)
	for _, test := range []struct {
		query  string
		status int
		want   string
	}{
		{"/v1/events?channel=orders/**", 403, `does not include all channels that it can match. Within it, it includes [\"orders/vip/**\" \"orders/1\"]: ask for that.`},
		{"/v1/poll?channel=orders/*", 403, `Within it, it includes [\"orders/1\"]`},
		{"/v1/channels/orders%2F**/messages", 403, "does not include all channels"},
		{"/v1/events?channel=chat/*", 400, "urn:comet:problem:invalid-channel"},
		{"/v1/events?channel=chat/*", 400, "add patterns: true to a rule under channels"},
		{"/v1/events?channel=**", 400, "no rule with patterns covers"},
		{"/v1/events?channel=a**", 400, "must have ** alone between slashes"},
		{"/v1/channels/chat%2F*/messages", 400, "no rule with patterns covers"},
		{"/v1/channels/orders%2Fvip%2F*/presence", 400, "presence is kept for each channel alone"},
	} {
		a := c.send(get(test.query))
		if a.status != test.status || !strings.Contains(string(a.body), test.want) {
			t.Errorf("%s: %d %s, want %d and %s", test.query, a.status, a.body, test.status, test.want)
		}
	}
	a := c.send(post("/v1/channels/orders%2F*/messages", "1"))
	if a.status != 400 || !strings.Contains(string(a.body), "must not contain *") {
		t.Errorf("publish to a pattern: %d %s", a.status, a.body)
	}
	c.open("channel=orders/vip/*").want("ready")
}
