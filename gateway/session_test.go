package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"comet/gateway"
	"comet/gateway/wire"
	"comet/pubsub/membroker"
	"comet/pubsub/redisbroker"
)

// ways are how a stream can be held: parked, and by a goroutine. Each opens one
// at the cluster's first node.
func ways(c *cluster) map[string]func(header ...string) *stream {
	all := map[string]func(...string) *stream{
		"first":  func(header ...string) *stream { return c.openAt(c.nodes[0], "channel=c", header...) },
		"second": func(header ...string) *stream { return c.openAt(c.nodes[0], "channel=c&channel=d", header...) },
	}
	for _, version := range []int{1, 2} {
		server := httptest.NewUnstartedServer(c.nodes[0].gateway)
		server.EnableHTTP2 = version == 2
		server.StartTLS()
		c.t.Cleanup(server.Close)
		all[fmt.Sprintf("TLS, HTTP/%d", version)] = func(header ...string) *stream {
			c.t.Helper()
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			c.t.Cleanup(cancel)
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/v1/events?channel=c", nil)
			if err != nil {
				c.t.Fatal(err)
			}
			for i := 0; i < len(header); i += 2 {
				r.Header.Set(header[i], header[i+1])
			}
			res, err := server.Client().Do(r)
			if err != nil {
				c.t.Fatal(err)
			}
			c.t.Cleanup(func() { res.Body.Close() })
			return &stream{t: c.t, events: wire.NewReader(res.Body, wire.SSE)}
		}
	}
	return all
}

// However it is held, a stream ends with its token, and says so.
func TestStreamEndsWithToken(t *testing.T) {
	t.Parallel()
	c := overMemory(t, setup{access: guarded(t), heartbeat: time.Second})
	open := ways(c)
	for i, claim := range []string{"exp", "iat"} { // by its age, too
		end := time.Now().Add(2 * time.Second).Truncate(time.Second)
		short := token(t, map[string]any{claim: end.Add(-time.Duration(i) * time.Hour).Unix()}) // auth.jwt.max_age is an hour
		until := end
		if claim == "exp" {
			until = until.Add(leeway) // until then a new request would be accepted
		}
		ending, staying := map[string]*stream{}, map[string]*stream{}
		for name, begin := range open {
			ending[name], staying[name] = begin(bearer(short)...), begin(bearer(token(t, nil))...)
			ending[name].want("ready")
			staying[name].want("ready")
		}
		for name, s := range ending {
			s.want("bye token-expired")
			if early := time.Until(until); early > 0 {
				t.Errorf("%s: ended %v before its token", name, early)
			}
			s.wantEnd()
		}
		c.accepted(request{http.MethodPost, publishTo, "1", bearer(keyText)})
		for _, s := range staying {
			s.want("1")
		}
	}
}

// newToken is alice's, as late as it may say that it was issued.
func newToken(t testing.TB) string {
	t.Helper()
	return token(t, map[string]any{"iat": float64(time.Now().Add(leeway).UnixMicro()) / 1e6})
}

// comesBack waits until a token that alice gets now is accepted by n again.
func (c *cluster) comesBack(n *node) {
	c.t.Helper()
	for late := time.Now().Add(patience); ; {
		a := c.sendTo(n, get(publishTo, bearer(newToken(c.t))...))
		if a.status == http.StatusOK {
			return
		}
		if time.Now().After(late) {
			c.t.Fatalf("a newer token: %d %s", a.status, a.body)
		}
	}
}

// A revocation ends every stream and poll of the user at once, however they are
// held, on every node, and no other's. It covers tokens that say that they were
// issued in the future, as far as clocks may differ.
func TestRevoke(t *testing.T) {
	overEach(t, setup{access: guarded(t), heartbeat: time.Second}, func(t *testing.T, c *cluster) {
		old, other := bearer(token(t, nil)), bearer(token(t, map[string]any{"sub": "bob"}))
		ahead := bearer(newToken(t))
		ending, staying := map[string]*stream{}, map[string]*stream{}
		for name, begin := range ways(c) {
			ending[name], ending[name+", ahead"], staying[name] = begin(old...), begin(ahead...), begin(other...)
		}
		last := c.nodes[len(c.nodes)-1]
		ending["other node"] = c.openAt(last, "channel=c", old...)
		for _, all := range []map[string]*stream{ending, staying} {
			for _, s := range all {
				s.want("ready")
			}
		}
		p := newPoller(t, last)
		held := last.gateway.Connections()
		p.bring(request{http.MethodGet, "/v1/poll?channel=c&wait=20s", "", append([]string{"Host", "h"}, old...)})
		for late := time.Now().Add(patience); last.gateway.Connections() <= held; {
			if time.Now().After(late) {
				t.Fatal("the poll is not held")
			}
		}

		if err := c.nodes[0].gateway.Revoke(t.Context(), "alice"); err != nil {
			t.Fatal(err)
		}
		for _, s := range ending {
			s.want("bye revoked")
			s.wantEnd()
		}
		if a := p.answer(); len(a.Messages) > 0 {
			t.Errorf("the poll got %q", datas(a.Messages))
		}
		for _, n := range c.nodes {
			for _, revoked := range [][]string{old, ahead} {
				wantProblem(t, n.url, c.sendTo(n, get(publishTo, revoked...)), unauthorized("revoked"))
			}
			c.comesBack(n)
		}
		c.accepted(request{http.MethodPost, publishTo, "1", bearer(keyText)})
		for name, s := range staying {
			if got := tell(s.next()); got != "1" {
				t.Errorf("%s: got %s", name, got)
			}
		}
	})
}

// A node that starts later knows which users were revoked, also if the log is
// trimmed: then it refuses more, never less.
func TestRevokeBefore(t *testing.T) {
	t.Parallel()
	s := setup{access: guarded(t)}
	c := newCluster(t)
	logs := membroker.New(membroker.Options{Size: 5, TTL: time.Hour, KeyWindow: time.Minute})
	c.join(s, logs.Node())
	old, ahead := bearer(token(t, nil)), bearer(newToken(t))
	c.revoke("alice")
	c.join(s, logs.Node())
	for _, n := range c.nodes {
		wantProblem(t, n.url, c.sendTo(n, get(publishTo, old...)), unauthorized("revoked"))
		wantProblem(t, n.url, c.sendTo(n, get(publishTo, ahead...)), unauthorized("revoked"))
	}
	for i := range 10 {
		if err := c.nodes[0].gateway.Revoke(t.Context(), fmt.Sprint("user-", i)); err != nil {
			t.Fatal(err)
		}
	}
	c.join(s, logs.Node())
	n := c.nodes[2]
	wantProblem(t, "trimmed", c.sendTo(n, get(publishTo, old...)), unauthorized("revoked"))
	wantProblem(t, "trimmed", c.sendTo(n, get(publishTo, ahead...)), unauthorized("revoked"))
	c.comesBack(n)
}

// Redis loses its data: the nodes that know publish the revocations again, once,
// and a node that starts then refuses what they refuse.
func TestRevocationLogIsRestored(t *testing.T) {
	t.Parallel()
	s := setup{access: guarded(t)}
	c := overRedis(t, s)
	old := bearer(token(t, nil))
	users := []string{"alice"}
	for i := range 300 {
		users = append(users, fmt.Sprint("user-", i))
	}
	for _, user := range users {
		if err := c.nodes[0].gateway.Revoke(t.Context(), user); err != nil {
			t.Fatal(err)
		}
	}
	c.revoke("last") // both nodes know all
	messages := func() (n int) {
		all, _ := c.redis.Do("XRANGE", c.revocationLog(), "-", "+").([]any)
		return len(all)
	}
	if n := messages(); n != len(users)+1 {
		t.Fatalf("the log has %d messages", n)
	}
	c.redis.Do("FLUSHALL")
	c.redis.KillPubSub() // as a restart does: the nodes look at once
	for late := time.Now().Add(patience); messages() == 0; {
		if time.Now().After(late) {
			t.Fatal("no node restores the log")
		}
	}
	b, err := redisbroker.New(redisbroker.Options{Addresses: []string{c.redis.Addr()}, Timeout: patience, Size: 10_000, TTL: time.Hour, KeyWindow: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	c.join(s, b)
	for _, user := range append(users, "last") {
		old := bearer(token(t, map[string]any{"sub": user}))
		for late := time.Now().Add(patience); c.sendTo(c.nodes[2], get(publishTo, old...)).status != http.StatusUnauthorized; {
			if time.Now().After(late) {
				t.Fatalf("%s is accepted", user)
			}
		}
	}
	for _, n := range c.nodes {
		wantProblem(t, n.url, c.sendTo(n, get(publishTo, old...)), unauthorized("revoked"))
		c.comesBack(n)
	}
	// 302 revocations are a few messages, from one node, or at worst from both.
	if n := messages(); n > 8 {
		t.Errorf("the log was restored with %d messages", n)
	}
}

// A node that starts before the others have noticed the loss asks them: it does
// not accept a revoked token for longer than they take to answer.
func TestStartingNodeAsksForRevocations(t *testing.T) {
	t.Parallel()
	s := setup{access: guarded(t)}
	c := overRedis(t, s)
	c.revoke("alice")
	c.redis.Do("FLUSHALL") // no connection breaks
	b, err := redisbroker.New(redisbroker.Options{Addresses: []string{c.redis.Addr()}, Timeout: patience, Size: 10_000, TTL: time.Hour, KeyWindow: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	c.join(s, b)
	old := bearer(token(t, nil))
	for c.sendTo(c.nodes[2], get(publishTo, old...)).status != http.StatusUnauthorized {
		if time.Since(began) > 20*time.Second { // below the sweep, with which the others find out by themselves
			t.Fatal("the revoked token is accepted")
		}
	}
}

// revocationLog is the key of the log in Redis.
func (c *cluster) revocationLog() string {
	c.t.Helper()
	keys, _ := c.redis.Do("KEYS", "*comet.revocations*:log").([]any)
	if len(keys) == 0 {
		return "none yet"
	}
	if len(keys) > 1 {
		c.t.Fatalf("several keys: %v", keys)
	}
	return keys[0].(string)
}

// Until a node has loaded the revocation log, it accepts no token.
func TestRevokeBeforeLoaded(t *testing.T) {
	t.Parallel()
	logs := membroker.New(membroker.Options{Size: 5, TTL: time.Hour, KeyWindow: time.Minute})
	hub := newHub(t, logs.Node())
	o := guarded(t)()
	o.Hub, o.Node = hub, "n"
	g, err := gateway.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(ctx context.Context, header []string) answer {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, publishTo, nil)
		r.Header.Set(header[0], header[1])
		g.ServeHTTP(w, r)
		return answer{w.Code, w.Header(), w.Body.String()}
	}
	brief, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	wantProblem(t, "token", ask(brief, bearer(token(t, nil))), want{http.StatusServiceUnavailable, "unavailable", "Tokens"})
	if a := ask(t.Context(), bearer(keyText)); a.status != http.StatusOK {
		t.Errorf("key: %d %s", a.status, a.body)
	}
}

// A stream ends at its greatest age, a tenth more or less, and says so.
func TestMaxAge(t *testing.T) {
	t.Parallel()
	const age = 2 * time.Second
	c := overMemory(t, setup{gateway: gateway.Options{Policy: gateway.Policy{MaxAge: age}}, heartbeat: time.Second})
	began := time.Now()
	streams := map[string]*stream{}
	for name, begin := range ways(c) {
		streams[name] = begin()
		streams[name].want("ready")
	}
	for name, s := range streams {
		s.want("bye max-age")
		if lived := time.Since(began); lived < age*9/10 {
			t.Errorf("%s: ended after %v", name, lived)
		}
		s.wantEnd()
	}
}
