package gateway_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"comet/gateway"
	"comet/pubsub"
)

// want is the problem document that a request shall be answered with.
type want struct {
	status int
	name   string // the last part of its type
	detail string // a part of it
}

func wantProblem(t *testing.T, what string, a answer, w want) {
	t.Helper()
	got := decode[struct {
		Type, Title, Detail string
		Status              int
	}](t, a.body)
	if a.status != w.status || got.Status != w.status || got.Type != "urn:comet:problem:"+w.name || got.Title == "" || !strings.Contains(got.Detail, w.detail) {
		t.Errorf("%s: got %d %s, want %+v", what, a.status, a.body, w)
	}
	if a.header.Get("Content-Type") != "application/problem+json" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s: header %v", what, a.header)
	}
	waits := w.status == http.StatusServiceUnavailable || w.name == "credential-not-yet-valid"
	mayWait := w.name == "credential-revoked" // until new tokens are accepted
	if retry := a.header.Get("Retry-After"); (retry != "") != waits && !mayWait {
		t.Errorf("%s: Retry-After %q with %d", what, retry, a.status)
	}
}

// limited is small enough that every limit can be reached.
var limited = setup{limits: gateway.Limits{Message: 64, Batch: 3, Channels: 3, Wait: 2 * time.Second}}

func batchOf(contentType, body string) request {
	return post("/v1/publish", body, "Content-Type", contentType)
}

var badChannels = map[string]want{
	"":                       {400, "invalid-channel", "missing"},
	strings.Repeat("x", 256): {400, "invalid-channel", "255"},
	"a\nb":                   {400, "invalid-channel", "control"},
	"a\x7f":                  {400, "invalid-channel", "control"},
	"a{b}":                   {400, "invalid-channel", "{ or }"},
	"\xff":                   {400, "invalid-channel", "UTF-8"},
}

func TestProblemsOfChannels(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		for channel, w := range badChannels {
			wantProblem(t, "publish", c.send(post(channelPath(channel), "1")), w)
			wantProblem(t, "history", c.send(get(channelPath(channel))), w)
			wantProblem(t, "events", c.send(get("/v1/events?"+channels("good", channel))), w)
			wantProblem(t, "poll", c.send(get("/v1/poll?"+channels(channel))), w)
		}
	})
}

func TestProblemsOfPublish(t *testing.T) {
	tests := []struct {
		name string
		request
		want
	}{
		{"type", post(publishTo+"?type=a%20b", "1"), want{400, "invalid-type", "letters"}},
		{"long type", post(publishTo+"?type="+strings.Repeat("x", 65), "1"), want{400, "invalid-type", "64"}},
		{"our type", post(publishTo+"?type=comet.ready", "1"), want{400, "invalid-type", "comet."}},
		{"key", post(publishTo, "1", "Idempotency-Key", "a b"), want{400, "invalid-key", "ASCII"}},
		{"long key", post(publishTo, "1", "Idempotency-Key", strings.Repeat("k", 129)), want{400, "invalid-key", "128"}},
		{"ephemeral with key", post(publishTo+"?ephemeral=1", "1", "Idempotency-Key", "k"), want{400, "invalid-key", "ephemeral"}},
		{"flag", post(publishTo+"?ephemeral=maybe", "1"), want{400, "invalid-parameter", "ephemeral must be true or false"}},
		{"query", post(publishTo+"?type=%zz", "1"), want{400, "invalid-parameter", "%zz"}},
		{"large", post(publishTo, strings.Repeat("x", 65)), want{413, "too-large", "limits.message"}},
		{"JSON", post(publishTo, `{"a":`, "Content-Type", asJSON), want{400, "invalid-body", "text/plain"}},
		{"two values", post(publishTo, `1 2`, "Content-Type", "application/ld+json"), want{400, "invalid-body", "one valid JSON value"}},
		{"no JSON", post(publishTo, ``, "Content-Type", asJSON), want{400, "invalid-body", "JSON"}},
		{"bytes as text", post(publishTo, "\xff", "Content-Type", "text/plain"), want{400, "invalid-body", "base64"}},
		{"bytes as JSON", post(publishTo, "\"\xff\"", "Content-Type", asJSON), want{400, "invalid-body", "UTF-8"}},
		{"bytes by curl", post(publishTo, "\xff"), want{400, "invalid-body", "UTF-8"}},
		{"media type", post(publishTo, "1", "Content-Type", "text"+"/"), want{400, "invalid-body", "Content-Type"}},

		{"Latin-1", post(publishTo, "\xe9", "Content-Type", "text/plain; charset=ISO-8859-1"), want{415, "unsupported-media-type", `charset "ISO-8859-1"`}},
		{"JSON of UTF-16", post(publishTo, "1\x00", "Content-Type", "application/json; charset=utf-16le"), want{415, "unsupported-media-type", `charset "utf-16le"`}},
		{"UTF-16 with its mark", post(publishTo, "\xff\xfeh\x00i\x00"), want{415, "unsupported-media-type", "UTF-16LE"}},
		{"UTF-16, big end first", post(publishTo, "\xfe\xff\x00h\x00i", "Content-Type", "text/plain"), want{415, "unsupported-media-type", "UTF-16BE"}},
		{"UTF-32", post(publishTo, "\xff\xfe\x00\x00h\x00\x00\x00", "Content-Type", asJSON), want{415, "unsupported-media-type", "UTF-32LE"}},
		{"gzip", post(publishTo, "\x1f\x8b", "Content-Encoding", "gzip"), want{415, "unsupported-media-type", `Content-Encoding "gzip"`}},
		{"gzip, named second", post(publishTo, "1", "Content-Encoding", "identity, x-gzip"), want{415, "unsupported-media-type", `"x-gzip"`}},

		{"batch of another charset", batchOf("application/json; charset=windows-1252", "[]"), want{415, "unsupported-media-type", "windows-1252"}},
		{"batch of UTF-16", batchOf(asLines, "\xff\xfe{\x00"), want{415, "unsupported-media-type", "UTF-16LE"}},
		{"batch of deflate", post("/v1/publish", "[]", "Content-Type", asJSON, "Content-Encoding", "deflate"), want{415, "unsupported-media-type", "deflate"}},
		{"batch by curl", batchOf("application/x-www-form-urlencoded", "[]"), want{415, "unsupported-media-type", asLines}},
		{"batch of no type", post("/v1/publish", "[]"), want{415, "unsupported-media-type", "Content-Type"}},
		{"batch of an object", batchOf(asJSON, `{"channel":"c","data":1}`), want{400, "invalid-body", "array"}},
		{"batch of bad JSON", batchOf(asJSON, `[{"channel":"c","data":1},`), want{400, "invalid-body", "nothing was published"}},
		{"batch of many", batchOf(asJSON, `[1,2,3,4]`), want{413, "too-large", "limits.batch"}},
		{"batch of many lines", batchOf(asLines, "1\n2\n3\n4"), want{413, "too-large", "has 4"}},
		{"large batch", batchOf(asLines, strings.Repeat("x", 1<<20+1)), want{413, "too-large", "1 MiB"}},
	}
	overEach(t, limited, func(t *testing.T, c *cluster) {
		for _, test := range tests {
			wantProblem(t, test.name, c.send(test.request), test.want)
		}
		if h := c.history("c", ""); len(h.Messages) > 0 {
			t.Errorf("published %q", datas(h.Messages))
		}
	})
}

func TestProblemsOfSubscribe(t *testing.T) {
	tests := []struct {
		query  string
		header []string
		want
	}{
		{"", nil, want{400, "invalid-channel", "?channel="}},
		{"channel=%zz", nil, want{400, "invalid-parameter", "%zz"}},
		{"channel=a;b=c", nil, want{400, "invalid-parameter", "semicolon"}},
		{channels("a", "b", "c", "d"), nil, want{400, "invalid-parameter", "limits.channels"}},
		{"channel=a&last=-1", nil, want{400, "invalid-parameter", "last must be a number from 0 to 1000"}},
		{"channel=a&last=1001", nil, want{400, "invalid-parameter", "last"}},
		{"channel=a&last=many", nil, want{400, "invalid-parameter", "last"}},
		{"channel=a&cursor=nonsense", nil, want{400, "invalid-cursor", "earliest"}},
		{"channel=a&cursor=5", nil, want{400, "invalid-cursor", "exactly this set"}},
		{"channel=a&cursor=05-1", nil, want{400, "invalid-cursor", "cursor"}},
		{"channel=a&cursor=1-1~x", nil, want{400, "invalid-cursor", "cursor"}},
		{"channel=a", []string{"Last-Event-ID", "nonsense"}, want{400, "invalid-cursor", "cursor"}},
		{"channel=a&channel=b&cursor=nonsense", nil, want{400, "invalid-cursor", "cursor"}},
	}
	overEach(t, limited, func(t *testing.T, c *cluster) {
		for _, test := range tests {
			for _, path := range []string{"/v1/events?", "/v1/poll?"} {
				wantProblem(t, path+test.query, c.send(get(path+test.query, test.header...)), test.want)
			}
		}
		for query, w := range map[string]want{
			"format=xml": {400, "invalid-parameter", `one of ["json" "raw"]`},
			"format=":    {400, "invalid-parameter", "format"},
		} {
			wantProblem(t, query, c.send(get("/v1/events?channel=a&"+query)), w)
		}
		for query, w := range map[string]want{
			"wait=soon": {400, "invalid-parameter", "as in 25s"},
			"wait=-1s":  {400, "invalid-parameter", "as in 25s"},
			"wait=3s":   {400, "invalid-parameter", "limits.wait"},
			"wait=3":    {400, "invalid-parameter", "2s"},
		} {
			wantProblem(t, query, c.send(get("/v1/poll?channel=a&"+query)), w)
		}
	})
}

// A cursor belongs to exactly the channels that it was given out for.
func TestProblemsOfForeignCursors(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		one := c.publish("a", "1")
		several := c.poll(channels("a", "b") + "&wait=0").Cursor
		for _, test := range []struct {
			cursor   string
			channels []string
		}{
			{one, []string{"a", "b"}},
			{several, []string{"a"}},
			{several, []string{"a", "c"}},
			{several, []string{"a", "b", "c"}},
			{several + "AAAA", []string{"a", "b"}},
			{several[:len(several)-4], []string{"a", "b"}},
		} {
			target := "/v1/poll?" + channels(test.channels...) + "&cursor=" + url.QueryEscape(test.cursor)
			wantProblem(t, target, c.send(get(target)), want{400, "invalid-cursor", "exactly this set of channels"})
		}
	})
}

func TestProblemsOfHistory(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		for query, w := range map[string]want{
			"limit=0":              {400, "invalid-parameter", "limit must be a number from 1 to 1000"},
			"limit=1001":           {400, "invalid-parameter", "limit"},
			"limit=all":            {400, "invalid-parameter", "limit"},
			"order=up":             {400, "invalid-parameter", `["asc" "desc"]`},
			"after=x":              {400, "invalid-cursor", pubsub.ErrBadID.Error()},
			"before=1":             {400, "invalid-cursor", "before"},
			"after=":               {400, "invalid-cursor", "after"},
			"after=1-1&before=2-1": {400, "invalid-parameter", "cannot go with before"},
			"%zz":                  {400, "invalid-parameter", "%zz"},
		} {
			wantProblem(t, query, c.send(get(publishTo+"?"+query)), w)
		}
	})
}

func TestProblemsOfPathsAndMethods(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		for _, path := range []string{"/v1", "/v1/", "/v2/events", "/v1/events/", "/v1/channels/c", "/v1/channels/messages", "/index.html", "/", "/chat.css", "//"} {
			wantProblem(t, path, c.send(get(path)), want{404, "not-found", path})
		}
		for _, test := range []struct{ method, path, allow string }{
			{http.MethodGet, "/v1/publish", "POST"},
			{http.MethodPost, "/v1/events", "GET"},
			{http.MethodPost, "/v1/poll?channel=c", "GET"},
			{http.MethodDelete, publishTo, "GET, POST"},
			{http.MethodPut, "/v1/channels/a%2Fb/messages", "GET, POST"},
			{http.MethodPost, "/comet.js", "GET, HEAD"},
		} {
			a := c.send(request{method: test.method, target: test.path})
			wantProblem(t, test.path, a, want{405, "method-not-allowed", "use " + test.allow})
			if got := a.header.Get("Allow"); got != test.allow {
				t.Errorf("%s: Allow %q, want %q", test.path, got, test.allow)
			}
		}
	})
}

// Permissions are checked by every endpoint.
func TestProblemsOfAccess(t *testing.T) {
	s := setup{gateway: anonymously([]string{"open/**", "news"}, []string{"open/*"})}
	overEach(t, s, func(t *testing.T, c *cluster) {
		const mine, news, secret = "/v1/channels/open/1/messages", "/v1/channels/news/messages", "/v1/channels/secret/messages"
		subscribe := want{403, "forbidden", "auth.anonymous.subscribe"}
		publish := want{403, "forbidden", "auth.anonymous.publish"}
		wantProblem(t, "publish", c.send(post(secret, "1")), publish)
		wantProblem(t, "publish where one may read", c.send(post(news, "1")), publish)
		wantProblem(t, "publish deeper", c.send(post("/v1/channels/open/1/2/messages", "1")), publish)
		wantProblem(t, "history", c.send(get(secret)), subscribe)
		wantProblem(t, "events", c.send(get("/v1/events?channel=secret")), subscribe)
		wantProblem(t, "one of several", c.send(get("/v1/events?channel=news&channel=secret")), subscribe)
		wantProblem(t, "poll", c.send(get("/v1/poll?channel=secret")), subscribe)
		c.accepted(post(mine, "1"))
		if h := c.history("news", ""); len(h.Messages) > 0 {
			t.Errorf("published %q", datas(h.Messages))
		}
		c.open("channel=open/1&channel=news").want("ready")
	})
}

// A page of another site must not publish with the address of who looks at it.
func TestProblemsOfOtherOrigins(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		w := want{403, "forbidden", "origin"}
		wantProblem(t, "by fetch metadata", c.send(post(publishTo, "1", "Sec-Fetch-Site", "cross-site")), w)
		wantProblem(t, "from another port", c.send(post(publishTo, "1", "Sec-Fetch-Site", "same-site")), w)
		wantProblem(t, "by origin", c.send(post(publishTo, "1", "Origin", "https://example.org")), w)
		c.accepted(post(publishTo, "2", "Sec-Fetch-Site", "same-origin"))
		if h := c.history("c", ""); len(h.Messages) != 1 {
			t.Errorf("published %q", datas(h.Messages))
		}
	})
}

// A page of the node's own may publish, however a proxy writes the host that the
// browser sent it to; the refusal of another names what was compared.
func TestOwnHost(t *testing.T) {
	trusting := setup{gateway: gateway.Options{Policy: gateway.Policy{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}}
	for _, test := range []struct {
		name, origin, host, forwarded string // forwarded may have a port after a bar
		trusted, own                  bool
	}{
		{"as sent", "http://chat.test:8000", "chat.test:8000", "", false, true},
		{"default port added", "http://chat.test", "chat.test:80", "", false, true},
		{"default port of TLS added", "https://chat.test", "chat.test:443", "", false, true},
		{"port of another scheme", "https://chat.test", "chat.test:80", "", false, false},
		{"another case", "http://chat.test", "Chat.Test", "", false, true},
		{"IPv6", "http://[::1]", "[::1]:80", "", false, true},
		{"without its port", "http://chat.test:8000", "chat.test", "", true, false},
		{"the upstream's", "http://chat.test:8000", "comet", "", true, false},
		{"forwarded", "http://chat.test:8000", "comet", "chat.test:8000", true, true},
		{"forwarded with a default port", "https://chat.test", "comet:8080", "chat.test:443", true, true},
		{"forwarded by two", "http://chat.test:8000", "comet", "chat.test:8000, inner.test", true, true},
		{"forwarded by anybody", "http://chat.test:8000", "comet", "chat.test:8000", false, false},
		{"another forwarded", "http://evil.test", "comet", "chat.test:8000", true, false},
		{"forwarded with its port apart", "http://chat.test:8000", "comet", "chat.test|8000", true, true},
		{"just the port forwarded", "http://chat.test:8000", "chat.test", "|8000", true, true},
		{"another port forwarded", "http://chat.test:8000", "chat.test", "chat.test|8001", true, false},
		{"port forwarded by anybody", "http://chat.test:8000", "chat.test", "|8000", false, false},
		{"null", "null", "comet", "chat.test", true, false},
		{"nothing forwarded", "http://chat.test", "comet", " ,", true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := setup{}
			if test.trusted {
				s = trusting
			}
			c := overMemory(t, s)
			header := []string{"Host", test.host, "Origin", test.origin}
			host, port, _ := strings.Cut(test.forwarded, "|")
			if host != "" {
				header = append(header, "X-Forwarded-Host", host)
			}
			if port != "" {
				header = append(header, "X-Forwarded-Port", port)
			}
			p := newPoller(t, c.nodes[0])
			p.bring(post(publishTo, "1", header...))
			a := p.whole()
			if !test.own {
				wantProblem(t, test.name, a, want{403, "forbidden", fmt.Sprintf("(Origin: %q, Host: %q)", test.origin, test.host)})
			} else if a.status != http.StatusCreated {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
}

// The same host counts for a cookie.
func TestOwnHostOfCookie(t *testing.T) {
	t.Parallel()
	open := guarded(t)
	c := overMemory(t, setup{access: func() gateway.Options {
		o := open()
		o.Policy.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		return o
	}})
	cookie := []string{"Host", "comet", "Cookie", cookieName + "=" + token(t, nil), "Origin", "http://chat.test:8000"}
	p := newPoller(t, c.nodes[0])
	p.bring(post(publishTo, "1", append(cookie, "X-Forwarded-Host", "chat.test:8000")...))
	if a := p.whole(); a.status != http.StatusCreated {
		t.Errorf("%d %s", a.status, a.body)
	}
	p.bring(post(publishTo, "1", append(cookie, "X-Forwarded-Host", "chat.test", "Sec-Fetch-Site", "same-origin")...))
	wantProblem(t, "another host", p.whole(), want{403, "credential-wrong-origin", `(Origin: "http://chat.test:8000", Host: "comet")`})
}

func TestProblemsOfConnections(t *testing.T) {
	overEach(t, setup{limits: gateway.Limits{Connections: 1}}, func(t *testing.T, c *cluster) {
		for _, n := range c.nodes {
			s := c.openAt(n, "channel=c")
			s.want("ready")
			for _, target := range []string{"/v1/events?channel=c", "/v1/poll?channel=c"} {
				wantProblem(t, target, c.sendTo(n, get(target)), want{503, "too-many-connections", "limits.connections"})
			}
			s.leave()
			full := http.StatusServiceUnavailable // until the node has noticed
			for deadline := time.Now().Add(patience); full != http.StatusOK; {
				if full = c.sendTo(n, get("/v1/poll?channel=c&wait=0")).status; time.Now().After(deadline) {
					t.Fatalf("the place of a client that left is not free: %d", full)
				}
			}
		}
		c.publish("c", "1") // is not counted
	})
}

// docs/protocol.md lists every kind of problem and every reason of comet.bye.
func TestDocsListAll(t *testing.T) {
	t.Parallel()
	read := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	docs := read("../docs/protocol.md")
	for file, pattern := range map[string]string{
		"problem.go":      `kind\{\d+, "([a-z-]+)"`,
		"auth/errors.go":  `Reason += "([a-z-]+)"`,
		"conn/session.go": `CloseReason += "([a-z-]+)"`,
	} {
		found := regexp.MustCompile(pattern).FindAllStringSubmatch(read(file), -1)
		if len(found) < 4 {
			t.Errorf("%s: found only %q", file, found)
		}
		for _, name := range found {
			if name[1] == "gone" { // the client went, and nothing is sent
				continue
			}
			if word := "`" + name[1] + "`"; !strings.Contains(docs, word) && !strings.Contains(docs, "`credential-"+name[1]+"`") {
				t.Errorf("%s of %s is not in docs/protocol.md", word, file)
			}
		}
	}
}
