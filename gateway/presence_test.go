package gateway_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"comet/gateway/wire"
	"comet/pubsub"
)

// present is nodes that take tokens, with presence in the channel c.
func present(t testing.TB) setup { return presentFor(t, 500*time.Millisecond) }

// longGrace is for those who come back, also on a busy machine.
const longGrace = 5 * time.Second

// presentFor has users leave after a grace.
func presentFor(t testing.TB, grace time.Duration) setup {
	return setup{access: guarded(t), presence: &pubsub.PresenceOptions{
		Enabled: func(channel string) bool { return channel == "c" }, Grace: grace,
	}}
}

// as is the header for a user with info.
func as(t testing.TB, user string, info any) []string {
	t.Helper()
	return bearer(token(t, map[string]any{"sub": user, "comet": map[string]any{"subscribe": []string{"c", "d"}, "info": info}}))
}

func (c *cluster) presence(query string) *wire.Presence {
	c.t.Helper()
	a := c.send(get("/v1/channels/c/presence?"+query, as(c.t, "observer", nil)...))
	p, err := wire.ParsePresence([]byte(a.body))
	if a.status != 200 || err != nil || p.Channel != "c" {
		c.t.Fatalf("presence: %d %s, %v", a.status, a.body, err)
	}
	return p
}

// awaitPresence waits until these users are there, and no others.
func (c *cluster) awaitPresence(users ...string) *wire.Presence {
	c.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for {
		p := c.presence("limit=1000")
		var got []string
		for _, m := range p.Users {
			got = append(got, m.User)
		}
		if slices.Equal(got, users) && p.Count == len(users) {
			return p
		}
		select {
		case <-tick.C:
		case <-late:
			c.t.Fatalf("waited %v for %q; there are %q", patience, users, got)
		}
	}
}

// who is "+alice" for alice's join, and "-alice" for her leave.
func who(m *pubsub.Message) string {
	var member pubsub.Member
	if err := json.Unmarshal(m.Data, &member); err != nil || m.Channel != "c" || !m.Ephemeral() {
		return fmt.Sprintf("%+v: %v", m, err)
	}
	return map[string]string{pubsub.JoinType: "+", pubsub.LeaveType: "-"}[m.Type] + member.User + string(member.Info)
}

func (s *stream) wantWho(want ...string) {
	s.t.Helper()
	for _, w := range want {
		e := s.next()
		if e.Kind == wire.KindReady {
			e = s.next()
		}
		if got := who(e.Message); got != w {
			s.t.Fatalf("got %s, want %s of %q", got, w, want)
		}
	}
}

// A user with streams at several nodes is listed once. Anonymous clients are not
// listed, and channels without presence list no user.
func TestPresence(t *testing.T) {
	overEach(t, present(t), func(t *testing.T, c *cluster) {
		watcher := c.open(channels("c"), bearer(keyText)...)
		watcher.want("ready")
		alice := map[string]string{"name": "Alice é"}
		tabs := []*stream{
			c.open(channels("c"), as(t, "alice", alice)...),
			c.open(channels("c", "d"), as(t, "alice", alice)...),
			c.open(channels("c"), append(as(t, "alice", alice), "Accept", "application/x-ndjson")...),
		}
		c.open(channels("d"), as(t, "bob", nil)...)
		watcher.wantWho(`+alice{"name":"Alice é"}`)
		began := time.Now().Add(-time.Minute)
		page := c.awaitPresence("alice")
		if m := page.Users[0]; string(m.Info) != `{"name":"Alice é"}` || m.Since.Before(began) || page.Next != "" {
			t.Errorf("got %+v", page)
		}
		for _, tab := range tabs {
			tab.leave()
		}
		watcher.wantWho(`-alice{"name":"Alice é"}`)
		c.awaitPresence()
	})
}

// A user who comes back soon, to any node, has never left.
func TestPresenceReconnects(t *testing.T) {
	overEach(t, presentFor(t, longGrace), func(t *testing.T, c *cluster) {
		watcher := c.open(channels("c"), bearer(keyText)...)
		header := as(t, "alice", nil)
		s := c.open(channels("c"), header...)
		watcher.wantWho("+alice")
		for range 10 {
			s.leave()
			s = c.open(channels("c"), header...)
		}
		marker := c.open(channels("c"), as(t, "marker", nil)...)
		watcher.wantWho("+marker")
		marker.leave()
		watcher.wantWho("-marker")
		c.awaitPresence("alice")
	})
}

// Long-polls one after the other are one presence, on the fast path or not. A poll
// that does not wait is not present.
func TestPresenceOfPolls(t *testing.T) {
	overEach(t, presentFor(t, longGrace), func(t *testing.T, c *cluster) {
		watcher := c.open(channels("c"), bearer(keyText)...)
		watcher.want("ready")
		header := strings.Join([]string{"Authorization", as(t, "alice", nil)[1]}, ": ") + "\r\n"
		p := newPoller(t, c.next())
		p.send("/v1/poll?channel=c&wait=0", header)
		cursor := url.QueryEscape(p.answer().Cursor)
		p.send("/v1/poll?channel=c&wait=20s&cursor="+cursor, header)
		watcher.wantWho("+alice")
		p.answer() // their own join, or the wait
		for range 20 {
			p.send("/v1/poll?channel=c&wait=50ms&cursor="+cursor, header)
			p.answer()
		}
		c.awaitPresence("alice")
		p.Close()
		watcher.wantWho("-alice")
		c.awaitPresence()
	})
}

// 2,500 users come in pages, each once.
func TestPresencePages(t *testing.T) {
	overEach(t, present(t), func(t *testing.T, c *cluster) {
		const total = 2500
		var users []string
		n := c.next()
		for i := range total {
			users = append(users, fmt.Sprintf("user/%04d", i))
			if _, ok := n.presence.Join("c", users[i], nil); !ok {
				t.Fatal("no presence")
			}
		}
		awaitCount(c, total)
		for _, limit := range []int{1000, 100} {
			var got []string
			for query := fmt.Sprint("limit=", limit); ; {
				page := c.presence(query)
				for _, m := range page.Users {
					got = append(got, m.User)
				}
				if page.Count != total || len(page.Users) != min(limit, total-len(got)+len(page.Users)) {
					t.Fatalf("%s: %d users of %d", query, len(page.Users), page.Count)
				}
				if page.Next == "" {
					break
				}
				query = fmt.Sprint("limit=", limit, "&after=", url.QueryEscape(page.Next))
			}
			if !slices.Equal(got, users) {
				t.Errorf("by %d: got %d users", limit, len(got))
			}
		}
		if page := c.presence("after=user/2498"); len(page.Users) != 1 || page.Next != "" {
			t.Errorf("the last page: %+v", page)
		}
	})
}

func awaitCount(c *cluster, n int) {
	c.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(patience); c.presence("limit=1").Count != n; {
		select {
		case <-tick.C:
		case <-late:
			c.t.Fatalf("waited %v for %d users", patience, n)
		}
	}
}

func TestPresenceProblems(t *testing.T) {
	overEach(t, present(t), func(t *testing.T, c *cluster) {
		alice := as(t, "alice", nil)
		may := func(lists map[string]any) []string {
			return bearer(token(t, map[string]any{"comet": lists}))
		}
		for target, w := range map[string]want{
			"c/presence?limit=0":       {400, "invalid-parameter", "limit must be a number from 1 to 1000"},
			"c/presence?limit=1001":    {400, "invalid-parameter", "limit"},
			"d/presence":               {404, "no-presence", "channels"},
			"e/presence":               {403, "forbidden", `who is in channel "e": the claim comet.subscribe`},
			"comet.x/presence":         {403, "forbidden", "nodes' own"},
			"a%7Bb/presence":           {400, "invalid-channel", "{ or }"},
			"c/presence?%zz":           {400, "invalid-parameter", "query"},
			"c/presence?limit=1&after": {200, "", ""},
		} {
			a := c.send(get("/v1/channels/"+target, alice...))
			if w.status != 200 {
				wantProblem(t, target, a, w)
			} else if a.status != 200 {
				t.Errorf("%s: %d %s", target, a.status, a.body)
			}
		}
		seen := "/v1/channels/c/presence"
		wantProblem(t, "denied", c.send(get(seen, may(map[string]any{"subscribe": []string{"c"}, "presence": []string{}})...)),
			want{403, "forbidden", "comet.presence"})
		if a := c.send(get(seen, may(map[string]any{"presence": []string{"c"}})...)); a.status != 200 {
			t.Errorf("with presence alone: %d %s", a.status, a.body)
		}
		if a := c.send(get(seen, bearer(keyText)...)); a.status != 200 {
			t.Errorf("a key: %d %s", a.status, a.body)
		}
	})
}

// The token says too much about the user.
func TestPresenceInfoBounded(t *testing.T) {
	overEach(t, present(t), func(t *testing.T, c *cluster) {
		wantProblem(t, "info", c.send(get("/v1/events?channel=c", as(t, "alice", strings.Repeat("x", 1100))...)),
			want{401, "credential-malformed", "comet.info"})
	})
}

// BenchmarkConnect opens an event stream and leaves it, by 1,000 users in turn,
// in a channel without presence and in one with it: then each of them joins and
// leaves there too.
func BenchmarkConnect(b *testing.B) {
	for name, start := range map[string]func(testing.TB, setup) *cluster{"memory": overMemory, "redis": overRedis} {
		for channel, what := range map[string]string{"d": "without", "c": "with"} {
			b.Run(name+"/"+what+" presence", func(b *testing.B) {
				c := start(b, present(b))
				n := c.nodes[0]
				requests := make([]string, 1000)
				for i := range requests {
					requests[i] = fmt.Sprintf("GET /v1/events?channel=%s HTTP/1.1\r\nHost: h\r\nAuthorization: %s\r\n\r\n", channel, as(b, fmt.Sprint("user-", i), nil)[1])
				}
				c.openAt(n, channels(channel), bearer(keyText)...).want("ready") // keeps the channel open
				for i := 0; b.Loop(); i++ {
					connectOnce(b, n, requests[i%len(requests)])
				}
			})
		}
	}
}

func connectOnce(b *testing.B, n *node, request string) {
	connection, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
	if err != nil {
		b.Fatal(err)
	}
	defer connection.Close()
	if _, err := connection.Write([]byte(request)); err != nil {
		b.Fatal(err)
	}
	waitFor(b, bufio.NewReader(connection), "comet.ready")
}
