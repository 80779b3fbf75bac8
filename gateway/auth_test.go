package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// credential is what a request shows, and what it hears.
type credential struct {
	header []string
	query  string // to be appended to the request's
	reads  want   // the answer to GET; zero: it is let in
	writes want   // to POST
}

// refusedAll is what is refused whatever it asks for.
func refusedAll(w want, header ...string) credential {
	return credential{header: header, reads: w, writes: w}
}

func unauthorized(reason string) want {
	return want{http.StatusUnauthorized, "credential-" + reason, ""}
}

// credentials are of every kind. The user mallory must have been thrown out.
func credentials(t testing.TB) map[string]credential {
	now := time.Now()
	seconds := func(d time.Duration) int64 { return now.Add(d).Unix() }
	refused := func(reason, text string) credential { return refusedAll(unauthorized(reason), bearer(text)...) }
	altered := func(reason, claim string, value any) credential {
		return refused(reason, token(t, map[string]any{claim: value}))
	}
	cookie := func(text string, more ...string) []string {
		return append([]string{"Cookie", cookieName + "=" + text}, more...)
	}
	right := token(t, nil)
	signature := strings.LastIndexByte(right, '.') + 1
	tampered := right[:signature] + map[bool]string{true: "B", false: "A"}[right[signature] == 'A'] + right[signature+1:]
	forbidden := want{http.StatusForbidden, "forbidden", `channel "c"`}
	foreign := want{http.StatusForbidden, "forbidden", "another origin"}
	origin := want{http.StatusForbidden, "credential-wrong-origin", "auth.cookie.origins"}
	several := want{http.StatusBadRequest, "credential-several", "2 credentials"}
	return map[string]credential{
		"none":             refusedAll(unauthorized("missing")),
		"no bearer":        refusedAll(unauthorized("malformed"), "Authorization", "Basic YWxpY2U6c2VjcmV0"),
		"empty":            refusedAll(unauthorized("malformed"), "Authorization", "Bearer "),
		"nonsense":         refused("malformed", "a.b.c"),
		"wrong signature":  refused("bad-signature", sign(t, jwt.SigningMethodHS256, []byte(otherText), claims(nil))),
		"tampered":         refused("bad-signature", tampered),
		"HS/RS confusion":  refused("bad-signature", sign(t, jwt.SigningMethodHS256, publicPEM(t), claims(nil))),
		"alg none":         refused("wrong-algorithm", sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims(nil))),
		"HS512":            refused("wrong-algorithm", sign(t, jwt.SigningMethodHS512, []byte(secretText), claims(nil))),
		"PS256":            refused("wrong-algorithm", sign(t, jwt.SigningMethodPS256, rsaKey(), claims(nil))),
		"expired":          altered("expired", "exp", seconds(-time.Minute)),
		"too old":          altered("expired", "iat", seconds(-2*time.Hour)),
		"not yet valid":    altered("not-yet-valid", "nbf", seconds(time.Minute)),
		"issued later":     altered("not-yet-valid", "iat", seconds(time.Minute)),
		"no iat":           altered("malformed", "iat", nil),
		"no sub":           altered("malformed", "sub", nil),
		"misspelt":         altered("malformed", "comet", map[string]any{"subscirbe": []string{"c"}}),
		"wrong issuer":     altered("wrong-issuer", "iss", "other"),
		"wrong audience":   altered("wrong-audience", "aud", "other"),
		"revoked":          altered("revoked", "sub", "mallory"),
		"wrong key":        refused("unknown-key", otherText),
		"key's name":       refused("unknown-key", "backend"),
		"name and key":     refused("unknown-key", "backend:"+keyText),
		"lacking":          refusedAll(forbidden, bearer(token(t, map[string]any{"comet": map[string]any{"subscribe": []string{"d"}, "publish": []string{"c/*"}}}))...),
		"lacking all":      refusedAll(forbidden, bearer(token(t, map[string]any{"comet": nil}))...),
		"lacking, by key":  refusedAll(forbidden, bearer(readerText)...),
		"only reads":       {header: bearer(token(t, map[string]any{"comet": map[string]any{"subscribe": []string{"*"}}})), writes: forbidden},
		"right":            {header: bearer(right)},
		"right, RS256":     {header: bearer(sign(t, jwt.SigningMethodRS256, rsaKey(), claims(nil)))},
		"right, within":    {header: bearer(token(t, map[string]any{"exp": nil, "nbf": seconds(leeway / 2)}))},
		"right key":        {header: bearer(keyText)},
		"query":            {query: "access_token=" + right},
		"query, wrong":     {query: "access_token=" + tampered, reads: unauthorized("bad-signature"), writes: unauthorized("bad-signature")},
		"query, empty":     {query: "access_token=", reads: unauthorized("malformed"), writes: unauthorized("malformed")},
		"query, key":       {query: "access_token=" + keyText, reads: unauthorized("malformed"), writes: unauthorized("malformed")},
		"two queries":      {query: "access_token=" + right + "&access_token=" + right, reads: several, writes: several},
		"query and header": {header: bearer(right), query: "access_token=" + right, reads: several, writes: several},
		"cookie":           {header: cookie(right), writes: origin},
		"cookie, own":      {header: cookie(right, "Origin", "http://h")},
		"cookie, listed":   {header: cookie(right, "Origin", pagesAt)},
		"cookie, foreign":  {header: cookie(right, "Origin", "https://evil.example"), writes: foreign},
		"cookie, fetched":  {header: cookie(right, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"), writes: foreign},
		"cookie, wrong":    {header: cookie("a.b.c"), reads: unauthorized("malformed"), writes: origin},
		"cookie, other":    refusedAll(unauthorized("missing"), "Cookie", "other="+right),
		"cookie, header":   refusedAll(several, cookie(right, bearer(right)...)...),
	}
}

// endpoint is a route with what it answers who is let in.
type endpoint struct {
	request
	status int
}

var endpoints = map[string]endpoint{
	"publish":  {post(publishTo, "1"), http.StatusCreated},
	"batch":    {batchOf(asJSON, `[{"channel":"c","data":1}]`), http.StatusOK},
	"events":   {get("/v1/events?channel=c"), http.StatusOK},
	"poll":     {get("/v1/poll?channel=c&wait=1ms"), http.StatusOK},
	"history":  {get(publishTo), http.StatusOK},
	"presence": {get("/v1/channels/c/presence"), http.StatusOK},
}

// showing is e's request with the credential.
func (e endpoint) showing(c credential) request {
	r := e.request
	r.header = append([]string{"Host", "h"}, append(r.header, c.header...)...)
	if c.query != "" {
		r.target += map[bool]string{true: "&", false: "?"}[strings.Contains(r.target, "?")] + c.query
	}
	return r
}

func (e endpoint) want(c credential) want {
	w := c.reads
	if e.method == http.MethodPost {
		w = c.writes
	}
	if w.status == 0 {
		w.status = e.status
	}
	return w
}

// Every route meets every kind of credential.
func TestCredentials(t *testing.T) {
	overEach(t, present(t), func(t *testing.T, c *cluster) {
		c.throwOut("mallory")
		for name, shown := range credentials(t) {
			for route, e := range endpoints {
				p := newPoller(t, c.next())
				p.bring(e.showing(shown))
				wantAnswer(t, route+", "+name, p.whole(), e, e.want(shown), shown)
				p.Close()
			}
		}
	})
}

// The door answers as the long way does, to who comes with a new connection and
// to a poll that was parked before.
func TestCredentialsAtDoor(t *testing.T) {
	t.Parallel()
	if *portableFlag {
		t.Skip("without parking there is no door")
	}
	c := overMemory(t, setup{access: guarded(t), heartbeat: time.Second}) // polls end soon after their time
	n := c.nodes[0]
	c.throwOut("mallory")
	right := bearer(token(t, nil))
	c.openAt(n, "channel=c", right...).want("ready") // opens the channel
	for name, shown := range credentials(t) {
		for _, route := range []string{"events", "poll"} {
			e := endpoints[route]
			came := false
			for range 2 { // the first time its token may be new to the node
				before := n.atDoor.Load()
				p := newPoller(t, n)
				p.bring(e.showing(shown))
				wantAnswer(t, route+" at the door, "+name, p.whole(), e, e.want(shown), shown)
				came = n.atDoor.Load() > before
				p.Close()
			}
			if came != (e.want(shown).status == http.StatusOK) {
				t.Errorf("%s, %s: came in at the door: %v", route, name, came)
			}
		}
		e := endpoints["poll"]
		p := newPoller(t, n)
		p.bring(endpoint{get("/v1/poll?channel=c&wait=20ms"), 0}.showing(credential{header: right}))
		if a := p.whole(); a.status != http.StatusOK {
			t.Fatalf("the first poll: %d %s", a.status, a.body)
		}
		p.bring(e.showing(shown))
		wantAnswer(t, "poll again, "+name, p.whole(), e, e.want(shown), shown)
		p.Close()
	}
}

// wantAnswer checks the answer, and that nothing of the credential is in it.
func wantAnswer(t *testing.T, what string, a answer, e endpoint, w want, shown credential) {
	t.Helper()
	if isBatch := strings.HasPrefix(e.target, "/v1/publish"); isBatch && w.name == "forbidden" && w.detail != "another origin" {
		if a.status != http.StatusOK || !strings.Contains(a.body, `"type":"urn:comet:problem:forbidden"`) {
			t.Errorf("%s: got %d %s", what, a.status, a.body)
		}
	} else if w.name != "" {
		wantProblem(t, what, a, w)
	} else if a.status != w.status || strings.Contains(a.body, "urn:comet:problem") {
		t.Errorf("%s: got %d %s, want %d", what, a.status, a.body, w.status)
	}
	if challenged := a.header.Get("WWW-Authenticate") != ""; challenged != (a.status == http.StatusUnauthorized) {
		t.Errorf("%s: %d with WWW-Authenticate %v", what, a.status, challenged)
	}
	for _, text := range append([]string{shown.query}, shown.header...) {
		for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(".:= &;", r) }) {
			if len(part) > 20 && part != "access_token" && !strings.Contains(part, "example") && strings.Contains(a.body+fmt.Sprint(a.header), part) {
				t.Errorf("%s: the answer shows %q: %s", what, part, a.body)
			}
		}
	}
}

// throwOut throws a user out, and waits until every node knows it.
func (c *cluster) throwOut(user string) {
	c.t.Helper()
	if err := c.nodes[0].gateway.Revoke(c.t.Context(), user); err != nil {
		c.t.Fatal(err)
	}
	old := token(c.t, map[string]any{"sub": user})
	for _, n := range c.nodes {
		for late := time.Now().Add(patience); c.sendTo(n, get(publishTo, bearer(old)...)).status != http.StatusUnauthorized; {
			if time.Now().After(late) {
				c.t.Fatalf("%s does not hear of it", n.url)
			}
		}
	}
}

// bring writes a request as it is.
func (p *poller) bring(r request) {
	p.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", r.method, r.target)
	for i := 0; i < len(r.header); i += 2 {
		fmt.Fprintf(&b, "%s: %s\r\n", r.header[i], r.header[i+1])
	}
	if r.method == http.MethodPost {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(r.body))
	}
	if _, err := io.WriteString(p, b.String()+"\r\n"+r.body); err != nil {
		p.t.Fatal(err)
	}
}

// whole is the answer; of a stream just its header.
func (p *poller) whole() answer {
	p.t.Helper()
	res, err := http.ReadResponse(p.r, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		return answer{res.StatusCode, res.Header, ""}
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(body)}
}

// The channels of the nodes are for nobody, whatever they may do.
func TestReservedChannels(t *testing.T) {
	overEach(t, setup{access: guarded(t)}, func(t *testing.T, c *cluster) {
		c.throwOut("mallory") // so that the channel has something
		for _, channel := range []string{"comet.revocations", "comet.x"} {
			for _, r := range []request{
				post(channelPath(channel), "1"), get(channelPath(channel)),
				get("/v1/events?channel=" + url.QueryEscape(channel)), get("/v1/poll?channel=c&channel=" + url.QueryEscape(channel)),
			} {
				r.header = bearer(keyText) // may do everything
				wantProblem(t, r.method+" "+r.target, c.send(r), want{http.StatusForbidden, "forbidden", "the nodes' own"})
			}
		}
	})
}
