package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"comet/gateway"
	"comet/gateway/auth"
	"comet/gateway/hook"
	"comet/gateway/wire"
	"comet/pubsub"
)

// mixed makes nodes that accept tokens and a key, and let everybody do everything.
// Messages of the channel "nameless" have no sender.
func mixed(t testing.TB) access {
	t.Helper()
	return func() gateway.Options {
		tokens, err := auth.NewTokens(auth.TokenOptions{Algorithms: []string{"HS256"}, Secrets: [][]byte{[]byte(secretText)}})
		if err != nil {
			t.Fatal(err)
		}
		all := auth.Permissions{Subscribe: patterns([]string{"**"}), Publish: patterns([]string{"**"})}
		keys, err := auth.NewKeys(auth.KeyOptions{
			Secrets: []string{"backend:" + keyText}, Permissions: map[string]auth.Permissions{"backend": all},
		})
		if err != nil {
			t.Fatal(err)
		}
		a, err := auth.New(auth.Options{Tokens: tokens, Keys: keys, Anonymous: all})
		if err != nil {
			t.Fatal(err)
		}
		return gateway.Options{
			Policy:  gateway.Policy{Auth: a, Credentials: true},
			Senders: func(channel string) bool { return channel != "nameless" },
		}
	}
}

// userToken is the token of a user who may do everything.
func userToken(t testing.TB, user string) string {
	all := []string{"**"}
	return token(t, map[string]any{"sub": user, "comet": map[string]any{"subscribe": all, "publish": all}})
}

// Each message has the sender that its credential proves, whatever the request says, and
// over every transport the same.
func TestFrom(t *testing.T) {
	long := strings.Repeat("ü", 127)
	senders := map[string][]string{ // the header of each
		"":            nil,
		"key:backend": bearer(keyText),
		"alice":       bearer(userToken(t, "alice")),
		`"<é>\`:       bearer(userToken(t, `"<é>\`)),
		long:          bearer(userToken(t, long)),
	}
	overEach(t, setup{access: mixed(t)}, func(t *testing.T, c *cluster) {
		for from, header := range senders {
			channel := fmt.Sprintf("c%.10x", from)
			var streams []*stream
			for _, n := range c.nodes {
				streams = append(streams, c.openAt(n, "channel="+channel), c.openAt(n, "channel=d&channel="+channel, "Accept", asLines))
			}
			cursor := c.poll("channel=" + channel + "&wait=0").Cursor
			forged := append([]string{"From", "mallory", "Comet-From", "mallory", "Content-Type", asJSON}, header...)
			c.accepted(post(channelPath(channel)+"?from=mallory", `{"from":"mallory"}`, forged...))
			c.accepted(post(channelPath(channel)+"?ephemeral", "2", header...))
			batch := fmt.Sprintf(`{"channel":%q,"data":3}`+"\n"+`{"channel":%q,"data":4,"from":"mallory"}`, channel, channel)
			a := c.send(post("/v1/publish", batch, append([]string{"Content-Type", asLines}, header...)...))
			if !strings.Contains(a.body, `Line 2 is not a message`) || !strings.Contains(a.body, "from") {
				t.Errorf("a batch with from: %s", a.body)
			}
			check := func(what string, m *pubsub.Message) {
				t.Helper()
				if m == nil || m.From != from {
					t.Errorf("%s: got %+v, want from %q", what, m, from)
				}
			}
			for i, s := range streams {
				s.want("ready")
				for range 3 {
					check(fmt.Sprint("stream ", i), s.next().Message)
				}
			}
			for _, m := range append(c.history(channel, "").Messages, c.poll("wait=0&channel="+channel+"&cursor="+url.QueryEscape(cursor)).Messages...) {
				check("history or poll", m)
			}
		}
		// A rule turns the sender off, and then nothing is left of it.
		s := c.open("channel=nameless")
		s.block()
		c.accepted(post(channelPath("nameless"), "1", bearer(keyText)...))
		if block := s.block(); strings.Contains(block, "from") {
			t.Errorf("got %s", block)
		}
		// A user whose name looks like a key's is not taken for the key.
		c.accepted(post(channelPath("k"), "1", bearer(userToken(t, "key:backend"))...))
		if m := c.history("k", "").Messages; len(m) != 1 || m[0].From != "" {
			t.Errorf("the user key:backend sent %+v", m)
		}
	})
}

// goodTags are ways to write tags.
var goodTags = []struct {
	query, header, want string
}{
	{"", "", "{}"},
	{"tag=room:42", "", `{"room":"42"}`},
	{"tag=room:42&tag=lang:", "", `{"lang":"","room":"42"}`},
	{"tag=url:https://a.example/%3Fb,c", "", `{"url":"https://a.example/?b,c"}`},
	{"", "room:42, a.b/C_d-9:x y ,", `{"a.b/C_d-9":"x y","room":"42"}`},
	{"tag=room:%22%C3%A9", "lang:de", `{"lang":"de","room":"\"é"}`},
	{"tag=n:" + strings.Repeat("x", 255), "", `{"n":"` + strings.Repeat("x", 255) + `"}`},
}

// badTags are mistakes, with a part of the answer, which names the parameter.
var badTags = []struct {
	query, header, want string
}{
	{"tag=room", "", `The parameter tag must be name:value, as in room:42: \"room\" has no colon`},
	{"tag=", "", "The parameter tag must be name:value"},
	{"tag=:42", "", "The tags of the parameter tag must each have a name"},
	{"tag=a+b:42", "", "The tags of the parameter tag must have names of letters"},
	{"tag=a:1&tag=a:1", "", "The parameter tag has the name \\\"a\\\" twice"},
	{"tag=a:1", "a:2", "The header Comet-Tags has the name \\\"a\\\" twice"},
	{"", "room", "The header Comet-Tags must be name:value"},
	{"tag=a:%FF", "", "must have values in UTF-8"},
	{"tag=a:%0A", "", "must have values without control characters"},
	{"tag=n:" + strings.Repeat("x", 256), "", "must have at most 256 bytes of names and values in all: here are 257"},
	{"tag=a:&tag=b:&tag=c:&tag=d:&tag=e:&tag=f:&tag=g:&tag=h:&tag=i:", "", "must be at most 8: here are 9"},
	{"tag=a:&tag=b:&tag=c:&tag=d:&tag=e:&tag=f:&tag=g:&tag=h:", "i:", "The tags of the header Comet-Tags, with those of the parameter tag, must be at most 8"},
}

// Tags are in every answer and event with the message. A mistake is a 400 that names the
// parameter, and publishes nothing.
func TestTags(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		s, lines := c.open("channel=c"), c.open("channel=c&channel=d", "Accept", asLines)
		s.want("ready")
		lines.want("ready")
		tags := make(map[string]string) // by ID
		for _, test := range goodTags {
			var header []string
			if test.header != "" {
				header = []string{"Comet-Tags", test.header}
			}
			tags[c.accepted(post(publishTo+"?"+test.query, "1", header...)).ID] = test.want
		}
		for _, r := range c.batch(asLines, `{"channel":"c","data":1,"tags":{"room":"42","a":"b"}}`+"\n"+`{"channel":"c","data":1,"tags":{}}`+"\n"+
			`{"channel":"c","data":1,"tags":{"a b":""}}`+"\n"+`{"channel":"c","data":1,"tags":["a"]}`+"\n"+`{"channel":"c","data":1,"tags":{"a":1}}`) {
			switch {
			case r.Error == nil:
				tags[r.ID] = `{"a":"b","room":"42"}`
			case r.Error.Status != http.StatusBadRequest || !strings.Contains(r.Error.Detail, "tags"):
				t.Errorf("a batch with bad tags: %+v", r.Error)
			}
		}
		for _, test := range badTags {
			wantProblem(t, test.query+" "+test.header, c.send(post(publishTo+"?"+test.query, "1", "Comet-Tags", test.header)), want400(test.want))
		}
		page := c.history("c", "").Messages
		if len(page) != len(tags) {
			t.Fatalf("%d messages, want %d", len(page), len(tags))
		}
		tags[page[len(page)-1].ID.String()] = "{}"
		check := func(what string, m *pubsub.Message) {
			if m == nil {
				t.Fatalf("%s: no message", what)
			}
			if got := string(m.Tags.AppendJSON(nil)); got != tags[m.ID.String()] {
				t.Errorf("%s: message %s has the tags %s, want %s", what, m.ID, got, tags[m.ID.String()])
			}
		}
		for _, m := range append(page, c.poll("channel=c&cursor=earliest&wait=0").Messages...) {
			check("page", m)
		}
		for range tags {
			check("SSE", s.next().Message)
			check("NDJSON", lines.next().Message)
		}

		// A repeat of an idempotency key has the same tags.
		try := post(publishTo+"?tag=a:1&tag=b:2", "1", "Idempotency-Key", "k")
		first := c.accepted(try)
		if again := c.accepted(post(publishTo+"?tag=b:2", "1", "Comet-Tags", "a:1", "Idempotency-Key", "k")); !again.Duplicate || again.ID != first.ID {
			t.Errorf("repeated: %+v, want a duplicate of %s", again, first.ID)
		}
		wantProblem(t, "other tags", c.send(post(publishTo+"?tag=a:1", "1", "Idempotency-Key", "k")), want{http.StatusConflict, "idempotency-key-reused", "new key"})
	})
}

// want400 is a bad parameter, whose problem has a part of its text.
func want400(text string) want {
	return want{http.StatusBadRequest, "invalid-parameter", strings.ReplaceAll(text, `\"`, `"`)}
}

// A subscription with skip_self has the messages of others only, over every transport, on
// the fast path and through net/http, and its cursor moves past its own.
func TestSkipSelf(t *testing.T) {
	alice, bob := bearer(userToken(t, "alice")), bearer(userToken(t, "bob"))
	ways := map[string]struct {
		query  string
		header []string
	}{
		"SSE":              {"channel=c", nil},
		"NDJSON":           {"channel=c", []string{"Accept", asLines}},
		"several channels": {"channel=c&channel=d", nil},
		"several, NDJSON":  {"channel=c&channel=d", []string{"Accept", asLines}},
	}
	overEach(t, setup{access: mixed(t)}, func(t *testing.T, c *cluster) {
		var streams []*stream
		var all []string
		for name, way := range ways {
			for range 2 * len(c.nodes) { // the first one of a node through net/http
				s := c.open(way.query+"&skip_self=1", append(way.header, alice...)...)
				s.want("ready")
				streams, all = append(streams, s), append(all, name)
			}
		}
		everything := c.open("channel=c&skip_self=0", alice...)
		everything.want("ready")
		send := func(data string, header []string) string {
			return c.accepted(post(publishTo, data, append([]string{"Content-Type", asJSON}, header...)...)).ID
		}
		for i := range 20 {
			send(fmt.Sprint(i), [][]string{alice, bob, bearer(keyText), nil}[i%4])
		}
		last := send("20", bob)
		for i, s := range streams {
			for n := range 21 {
				if n%4 == 0 && n < 20 {
					continue
				}
				e := s.next()
				if e.Message == nil || string(e.Message.Data) != fmt.Sprint(n) {
					t.Fatalf("%s: got %s, want %d", all[i], tell(e), n)
				}
				if e.Cursor == "" || !strings.Contains(ways[all[i]].query, "&") && e.Cursor != e.Message.ID.String() {
					t.Fatalf("%s: message %s has the cursor %s", all[i], e.Message.ID, e.Cursor)
				}
			}
			resumed := c.open(ways[all[i]].query+"&skip_self&cursor="+s.cursor, alice...)
			resumed.want("ready")
			s.leave()
			resumed.leave()
		}
		for i := range 21 {
			everything.want(fmt.Sprint(i))
		}
		replayed := c.open("channel=c&cursor=earliest&skip_self=1", bearer(keyText)...)
		replayed.want("ready", "0", "1", "3", "4", "5", "7")
		skipSelfByPoll(t, c, last, alice, send)
	})
}

// Patterns have senders and tags, and leave out one's own messages, as channels do.
func TestSkipSelfByPattern(t *testing.T) {
	with := ordered
	with.access = mixed(t)
	alice, bob := bearer(userToken(t, "alice")), bearer(userToken(t, "bob"))
	overEach(t, with, func(t *testing.T, c *cluster) {
		var streams []*stream
		for range 2 * len(c.nodes) {
			s := c.open("channel=orders/*&skip_self=1", alice...)
			s.want("ready")
			streams = append(streams, s)
		}
		for i := range 10 {
			c.accepted(post(channelPath(fmt.Sprint("orders/", i%3))+"?tag=n:"+fmt.Sprint(i), fmt.Sprint(i), append([]string{"Content-Type", asJSON}, [][]string{alice, bob}[i%2]...)...))
		}
		for _, s := range streams {
			for want := range 5 {
				e := s.next()
				for e.Kind == wire.KindCursor {
					e = s.next()
				}
				m := e.Message
				if m == nil || m.From != "bob" || string(m.Tags.AppendJSON(nil)) != `{"n":"`+string(m.Data)+`"}` {
					t.Fatalf("message %d is %s, from %+v", want, tell(e), m)
				}
			}
		}
		a := parsePoll(t, c.send(get("/v1/poll?channel=orders/*&cursor=earliest&wait=0&skip_self=1", alice...)))
		if len(a.Messages) != 5 {
			t.Errorf("a poll has %q", datas(a.Messages))
		}
		a = parsePoll(t, c.send(get("/v1/poll?channel=orders/*&wait=0&skip_self=1&cursor="+url.QueryEscape(a.Cursor), alice...)))
		if len(a.Messages)+len(a.Gaps) != 0 {
			t.Errorf("the next poll has %q", datas(a.Messages))
		}
	})
}

// skipSelfByPoll is TestSkipSelf for polls.
func skipSelfByPoll(t *testing.T, c *cluster, last string, alice []string, send func(string, []string) string) {
	t.Helper()
	poll := func(p *poller, cursor, wait string) {
		p.send("/v1/poll?channel=c&skip_self=1&cursor="+cursor+"&wait="+wait, alice[0]+": "+alice[1]+"\r\n")
	}
	for _, n := range c.nodes {
		p := newPoller(t, n)
		cursor := last
		for range 3 { // the first time through net/http
			own := send("21", alice)
			poll(p, cursor, "50ms")
			if a := p.answer(); len(a.Messages)+len(a.Gaps) > 0 || a.Cursor != own {
				t.Fatalf("got %q and the cursor %s, want nothing and %s", datas(a.Messages), a.Cursor, own)
			}
			poll(p, cursor, "0")
			if a := p.answer(); len(a.Messages)+len(a.Gaps) > 0 || a.Cursor != own {
				t.Fatalf("without waiting: got %q and the cursor %s, want nothing and %s", datas(a.Messages), a.Cursor, own)
			}
			poll(p, own, "30s")
			send("22", alice)
			others := send("23", nil)
			send("24", alice)
			a := p.answer()
			if got := datas(a.Messages); len(got) != 1 || got[0] != "23" {
				t.Fatalf("got %q, want just 23 (%s)", got, others)
			}
			cursor = a.Cursor
		}
		poll(p, cursor, "0")
		last = p.answer().Cursor
	}
}

// A subscription can leave out its own messages only where messages have its sender.
func TestSkipSelfRefused(t *testing.T) {
	overEach(t, setup{access: mixed(t)}, func(t *testing.T, c *cluster) {
		for path, query := range map[string]string{"/v1/events": "", "/v1/poll": "&wait=0"} {
			for name, test := range map[string]struct {
				query  string
				header []string
				want   string
			}{
				"anonymous":   {"channel=c&skip_self=1", nil, "The parameter skip_self needs a token or a key"},
				"as a key":    {"channel=c&skip_self=1", bearer(userToken(t, "key:backend")), "The parameter skip_self needs a token or a key"},
				"no senders":  {"channel=c&channel=nameless&skip_self=1", bearer(keyText), `cannot work in channel "nameless"`},
				"not a truth": {"channel=c&skip_self=mine", bearer(keyText), "The parameter skip_self must be true or false"},
			} {
				wantProblem(t, path+", "+name, c.send(get(path+"?"+test.query+query, test.header...)), want400(test.want))
			}
			if a := c.send(get("/v1/poll?channel=c&wait=0&skip_self=0")); a.status != http.StatusOK {
				t.Errorf("anonymous with skip_self=0: %d %s", a.status, a.body)
			}
		}
	})
}

// The application is asked about a publish with the sender that the message will have.
func TestFromInHook(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 10)
	application := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct{ Action, From string }
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			t.Error(err)
		}
		asked <- q.Action + " " + q.From
		fmt.Fprint(w, `{"allow": true}`)
	}))
	defer application.Close()
	asker, err := hook.NewAsker(hook.AskerOptions{Endpoint: hook.Endpoint{URL: application.URL, Secret: []byte(secretText)}, Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(asker.Close)
	c := overMemory(t, setup{access: func() gateway.Options {
		o := mixed(t)()
		o.Asker = asker
		return o
	}})
	for want, header := range map[string][]string{"publish ": nil, "publish alice": bearer(userToken(t, "alice")), "publish key:backend": bearer(keyText)} {
		c.accepted(post(publishTo, "1", header...))
		if got := <-asked; got != want {
			t.Errorf("asked %q, want %q", got, want)
		}
	}
}

// wantFrom checks the sender of the newest message.
func (c *cluster) wantFrom(what, from string) {
	c.t.Helper()
	a := c.send(get(publishTo+"?order=desc&limit=1", bearer(keyText)...))
	h, err := wire.ParseHistory([]byte(a.body))
	if err != nil || len(h.Messages) != 1 || h.Messages[0].From != from {
		c.t.Errorf("%s: got %s, want a message from %q", what, a.body, from)
	}
}
