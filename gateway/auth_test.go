package gateway_test

import (
	"bufio"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"comet/gateway"
	"comet/gateway/auth"
	"comet/gateway/conn"
	"comet/gateway/limit"
	"comet/pubsub/membroker"
)

// credential is what a request shows, and what it hears.
type credential struct {
	header []string
	query  string // to be appended to the request's
	reads  want   // the answer to GET; zero: it is accepted
	writes want   // to POST
	from   string // the sender of its messages, if they are accepted; "": alice
}

// refusedAll is what is refused whatever it asks for.
func refusedAll(w want, header ...string) credential {
	return credential{header: header, reads: w, writes: w}
}

func unauthorized(reason string) want {
	return want{http.StatusUnauthorized, "credential-" + reason, ""}
}

// credentials are of every kind. The user mallory must have been revoked.
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
	missing := want{http.StatusUnauthorized, "credential-missing", "No credential was sent"}
	several := want{http.StatusBadRequest, "credential-several", "2 credentials"}
	return map[string]credential{
		"none":             refusedAll(missing),
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
		"name and key":     refusedAll(want{http.StatusUnauthorized, "credential-unknown-key", "without its name"}, bearer("backend:"+keyText)...),
		"lacking":          refusedAll(forbidden, bearer(token(t, map[string]any{"comet": map[string]any{"subscribe": []string{"d"}, "publish": []string{"c/*"}}}))...),
		"lacking all":      refusedAll(forbidden, bearer(token(t, map[string]any{"comet": nil}))...),
		"lacking, by key":  refusedAll(forbidden, bearer(readerText)...),
		"only reads":       {header: bearer(token(t, map[string]any{"comet": map[string]any{"subscribe": []string{"*"}}})), writes: forbidden},
		"right":            {header: bearer(right)},
		"right, RS256":     {header: bearer(sign(t, jwt.SigningMethodRS256, rsaKey(), claims(nil)))},
		"right, within":    {header: bearer(token(t, map[string]any{"exp": nil, "nbf": seconds(leeway / 2)}))},
		"right key":        {header: bearer(keyText), from: "key:backend"},
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
		"cookie, other":    refusedAll(missing, "Cookie", "other="+right),
		"cookie, header":   refusedAll(several, cookie(right, bearer(right)...)...),
	}
}

// endpoint is a route with its answer to a client that is authenticated.
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

	"events, skip_self": {get("/v1/events?channel=c&skip_self=1"), http.StatusOK},
	"poll, skip_self":   {get("/v1/poll?channel=c&skip_self=1&wait=1ms"), http.StatusOK},
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
		c.revoke("mallory")
		for name, shown := range credentials(t) {
			for route, e := range endpoints {
				p := newPoller(t, c.next())
				p.bring(e.showing(shown))
				wantAnswer(t, route+", "+name, p.whole(), e, e.want(shown), shown)
				p.Close()
				if w := e.want(shown); e.method == http.MethodPost && w.status < 300 {
					c.wantFrom(route+", "+name, cmp.Or(shown.from, "alice"))
				}
			}
		}
	})
}

// The fast path answers as net/http does: on a new connection, and on one whose
// poll was parked before.
func TestCredentialsOnFastPath(t *testing.T) {
	t.Parallel()
	if *portableFlag {
		t.Skip("without parking there is no fast path")
	}
	c := overMemory(t, setup{access: guarded(t), heartbeat: time.Second}) // polls end soon after their time
	n := c.nodes[0]
	c.revoke("mallory")
	right := bearer(token(t, nil))
	c.openAt(n, "channel=c", right...).want("ready") // opens the channel
	for name, shown := range credentials(t) {
		for _, route := range []string{"events", "poll", "events, skip_self", "poll, skip_self"} {
			e := endpoints[route]
			came := false
			for range 2 { // the first time its token may be new to the node
				before := n.fastAccepts.Load()
				p := newPoller(t, n)
				p.bring(e.showing(shown))
				wantAnswer(t, route+" on the fast path, "+name, p.whole(), e, e.want(shown), shown)
				came = n.fastAccepts.Load() > before
				p.Close()
			}
			if came != (e.want(shown).status == http.StatusOK) {
				t.Errorf("%s, %s: came by the fast path: %v", route, name, came)
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

// revoke throws a user out, and waits until every node knows it.
func (c *cluster) revoke(user string) {
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

// Reserved channels are refused to every client, whatever its permissions.
func TestReservedChannels(t *testing.T) {
	overEach(t, setup{access: guarded(t)}, func(t *testing.T, c *cluster) {
		c.revoke("mallory") // so that the channel has something
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

// access makes one node's options of who may do what, and nothing else.
type access func() gateway.Options

const (
	secretText = "an-hmac-secret-of-thirty-two-bytes-and-more"
	otherText  = "another-hmac-secret-that-no-node-knows"
	keyText    = "backend-key-0123456789abcdef0123456789abcdef"
	readerText = "reader-key-0123456789abcdef0123456789abcdef0"
	cookieName = "session"
	pagesAt    = "https://app.example" // whose pages may use the cookie
	leeway     = 5 * time.Second
)

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func publicPEM(t testing.TB) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(rsaKey().Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// guarded makes nodes that accept tokens, keys and a cookie. Other clients may do
// nothing.
func guarded(t testing.TB) access {
	t.Helper()
	public := filepath.Join(t.TempDir(), "public.pem")
	if err := os.WriteFile(public, publicPEM(t), 0o600); err != nil {
		t.Fatal(err)
	}
	all := patterns([]string{"**"})
	return func() gateway.Options {
		tokens, err := auth.NewTokens(auth.TokenOptions{
			Algorithms: []string{"HS256", "RS256"}, Secrets: [][]byte{[]byte(secretText)}, PublicKeyFiles: []string{public},
			Issuer: "issuer", Audience: "comet", MaxAge: time.Hour, Leeway: leeway,
		})
		if err != nil {
			t.Fatal(err)
		}
		keys, err := auth.NewKeys(auth.KeyOptions{
			Secrets: []string{"backend:" + keyText, "reader:" + readerText},
			Permissions: map[string]auth.Permissions{
				"backend": {Subscribe: all, Publish: all},
				"reader":  {Subscribe: patterns([]string{"other"})},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		revocations := auth.NewRevocations(time.Hour, 1000)
		a, err := auth.New(auth.Options{Tokens: tokens, Keys: keys, Cookie: cookieName, Origins: []string{pagesAt}, Revocations: revocations})
		if err != nil {
			t.Fatal(err)
		}
		return gateway.Options{Policy: gateway.Policy{Auth: a, Leeway: leeway, Credentials: true}, Revocations: revocations}
	}
}

// claims are alice's, which let her do everything in channel c; more are put
// over them, and a nil takes one away.
func claims(more map[string]any) jwt.MapClaims {
	all := jwt.MapClaims{
		"sub": "alice", "iss": "issuer", "aud": "comet",
		"iat": time.Now().Add(-time.Minute).Unix(), "exp": time.Now().Add(time.Hour).Unix(),
		"comet": map[string]any{"subscribe": []string{"c", "d"}, "publish": []string{"c"}},
	}
	maps.Copy(all, more)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	return all
}

// token is alice's, or whose more says.
func token(t testing.TB, more map[string]any) string {
	t.Helper()
	return sign(t, jwt.SigningMethodHS256, []byte(secretText), claims(more))
}

func sign(t testing.TB, method jwt.SigningMethod, key any, c jwt.MapClaims) string {
	t.Helper()
	text, err := jwt.NewWithClaims(method, c).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// bearer is the header for a token or key.
func bearer(text string) []string { return []string{"Authorization", "Bearer " + text} }

// Any text may stand where a credential could: only a valid one is accepted, no
// answer repeats it, and a client that the fast path accepts is accepted by
// net/http.
func FuzzCredentials(f *testing.F) {
	logs := membroker.New(membroker.Options{Size: 10, TTL: time.Hour, KeyWindow: time.Minute})
	o := guarded(f)()
	o.Hub, o.Node = newHub(f, logs.Node()), "n"
	o.Revocations = nil // no user is revoked
	g, err := gateway.New(o)
	if err != nil {
		f.Fatal(err)
	}
	right := token(f, map[string]any{"exp": nil})
	for _, text := range []string{right, keyText, "Bearer " + right, "bearer  " + keyText, "Bearer backend:" + keyText, "Basic " + right, right + "=", "", "."} {
		f.Add(text, "", "")
		f.Add("", text, "")
		f.Add("", "", text)
		f.Add("Bearer "+right, "x=1&access_token="+text, cookieName+"="+text)
		f.Add("", "access_token="+text+";access_token=%2", cookieName+"=")
		f.Add("", "Access_Token="+text, "a=b; "+cookieName+"=\""+text+"\"")
	}
	f.Fuzz(func(t *testing.T, authorization, query, cookie string) {
		text := fmt.Sprintf("GET /v1/poll?channel=c&wait=0&%s HTTP/1.1\r\nHost: h\r\n", query)
		for name, value := range map[string]string{"Authorization": authorization, "Cookie": cookie} {
			if value != "" {
				text += name + ": " + value + "\r\n"
			}
		}
		read := func() (*http.Request, error) {
			return http.ReadRequest(bufio.NewReader(strings.NewReader(text + "\r\n")))
		}
		r, err := read()
		if err != nil || r.URL.Path != "/v1/poll" || r.Method != http.MethodGet {
			return
		}
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		all := authorization + query + cookie
		switch {
		case w.Code >= 500:
			t.Fatalf("%q: %d %s", text, w.Code, w.Body)
		case w.Code == http.StatusOK && !strings.Contains(all, keyText) && !strings.Contains(unescaped(r)+all, right):
			t.Fatalf("%q is accepted", text)
		case strings.Contains(w.Body.String(), keyText) || strings.Contains(w.Body.String(), right[len(right)-20:]):
			t.Fatalf("%q is answered %s", text, w.Body)
		}
		again, err := read()
		if err != nil {
			t.Fatal(err)
		}
		again.URL.RawQuery = strings.Replace(again.URL.RawQuery, "wait=0", "wait=1s", 1)
		if next, ok := g.FastPath().Poll(again); ok {
			next.Release()
			next.Ended(conn.Shutdown)
			if w.Code != http.StatusOK {
				t.Fatalf("%q is accepted on the fast path, but gets %d %s", text, w.Code, w.Body)
			}
		}
	})
}

// unescaped is the tokens in r's query.
func unescaped(r *http.Request) string { return strings.Join(r.URL.Query()["access_token"], " ") }

// An address that is over its rate is refused before its token is verified, and
// the fast path verifies none. A token that is known costs its address nothing if
// its user is over the rate.
func TestRateBeforeSignature(t *testing.T) {
	t.Parallel()
	var access *auth.Authenticator
	c := overMemory(t, setup{access: func() gateway.Options {
		o := guarded(t)()
		access = o.Policy.Auth
		o.Policy.Limiter = limit.New(limit.Options{
			AddressRequests: limit.Rate{PerSecond: 0.001, Burst: 4}, UserRequests: limit.Rate{PerSecond: 0.001, Burst: 1},
		})
		return o
	}})
	verified := func(token string) bool {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		_, known, _ := access.Known(r)
		return known
	}
	poll := func(token string, status int, limit string) {
		t.Helper()
		a := c.send(get("/v1/poll?channel=c&wait=10ms", bearer(token)...))
		if a.status != status || limit != "" && !strings.Contains(a.body, limit) {
			t.Errorf("got %d %s, want %d %s", a.status, a.body, status, limit)
		}
	}
	alice, bob, carol := token(t, nil), token(t, map[string]any{"sub": "bob"}), token(t, map[string]any{"sub": "carol"})
	poll(alice, http.StatusOK, "")
	if !verified(alice) || c.nodes[0].fastAccepts.Load() > 0 {
		t.Error("a token was verified on the fast path")
	}
	for range 5 {
		poll(alice, http.StatusTooManyRequests, "limits.user_requests")
	}
	poll(bob, http.StatusOK, "")
	poll("a.b.c", http.StatusUnauthorized, "")
	poll("a.b.c", http.StatusUnauthorized, "")
	for range 3 {
		poll(carol, http.StatusTooManyRequests, "limits.address_requests")
		if verified(carol) {
			t.Fatal("the signature was verified before the rate was asked")
		}
	}
}

// BenchmarkRefused is the CPU that a refused request costs, from the header that
// was read to the answer that is to be written.
func BenchmarkRefused(b *testing.B) {
	key, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		b.Fatal(err)
	}
	public := filepath.Join(b.TempDir(), "public.pem")
	if err := os.WriteFile(public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		b.Fatal(err)
	}
	forger, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	bad := sign(b, jwt.SigningMethodES512, forger, claims(nil))
	for name, test := range map[string]struct {
		rate   float64 // requests per second of the address; 0: no limit
		token  string
		status int
	}{
		"over the rate, wrong ES512 signature": {0.001, bad, http.StatusTooManyRequests},
		"wrong ES512 signature, again":         {0, bad, http.StatusUnauthorized},
		"malformed":                            {0, "a.b.c", http.StatusUnauthorized},
		"no credential":                        {0, "", http.StatusUnauthorized},
	} {
		b.Run(name, func(b *testing.B) {
			tokens, err := auth.NewTokens(auth.TokenOptions{Algorithms: []string{"ES512"}, PublicKeyFiles: []string{public}})
			if err != nil {
				b.Fatal(err)
			}
			a, err := auth.New(auth.Options{Tokens: tokens})
			if err != nil {
				b.Fatal(err)
			}
			hub := newHub(b, membroker.New(membroker.Options{Size: 5}).Node())
			g, err := gateway.New(gateway.Options{Hub: hub, Node: "n", Policy: gateway.Policy{
				Auth: a, Credentials: true, Limiter: limit.New(limit.Options{AddressRequests: limit.Rate{PerSecond: test.rate, Burst: 1}}),
			}})
			if err != nil {
				b.Fatal(err)
			}
			send := func() int {
				w := httptest.NewRecorder()
				r := httptest.NewRequest(http.MethodGet, "/v1/events?channel=c", nil)
				if test.token != "" {
					r.Header.Set("Authorization", "Bearer "+test.token)
				}
				g.ServeHTTP(w, r)
				return w.Code
			}
			send() // takes the one request of the rate
			b.ReportAllocs()
			for b.Loop() {
				if status := send(); status != test.status {
					b.Fatal(status)
				}
			}
		})
	}
}
