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
			until = until.Add(leeway) // until then a new request would be let in
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

// Who is thrown out is so at once, however they are held, on every node; others
// are not, and neither is who has a newer token already.
func TestRevoke(t *testing.T) {
	overEach(t, setup{access: guarded(t), heartbeat: time.Second}, func(t *testing.T, c *cluster) {
		old, other := bearer(token(t, nil)), bearer(token(t, map[string]any{"sub": "bob"}))
		newer := bearer(token(t, map[string]any{"iat": time.Now().Add(leeway / 2).Unix()}))
		ending, staying := map[string]*stream{}, map[string]*stream{}
		for name, begin := range ways(c) {
			ending[name], staying[name+", other"], staying[name+", newer"] = begin(old...), begin(other...), begin(newer...)
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
		said := time.Now()
		for _, s := range ending {
			s.want("bye revoked")
			s.wantEnd()
		}
		if a := p.answer(); len(a.Messages) > 0 {
			t.Errorf("the poll got %q", datas(a.Messages))
		}
		if took := time.Since(said); took > 5*time.Second { // a second where nothing else runs
			t.Errorf("it took %v", took)
		}
		for _, n := range c.nodes {
			wantProblem(t, n.url, c.sendTo(n, get(publishTo, old...)), unauthorized("revoked"))
			if a := c.sendTo(n, get(publishTo, newer...)); a.status != http.StatusOK {
				t.Errorf("a newer token: %d %s", a.status, a.body)
			}
		}
		c.accepted(request{http.MethodPost, publishTo, "1", bearer(keyText)})
		for name, s := range staying {
			if got := tell(s.next()); got != "1" {
				t.Errorf("%s: got %s", name, got)
			}
		}
	})
}

// A node that starts later knows who was thrown out, also where the log does no
// longer have all: then it refuses more, never less.
func TestRevokeBefore(t *testing.T) {
	t.Parallel()
	s := setup{access: guarded(t)}
	c := newCluster(t)
	logs := membroker.New(membroker.Options{Size: 5, TTL: time.Hour, KeyWindow: time.Minute})
	c.join(s, logs.Node())
	old := bearer(token(t, nil))
	newer := bearer(token(t, map[string]any{"iat": time.Now().Add(leeway / 2).Unix()}))
	c.throwOut("alice")
	c.join(s, logs.Node())
	for _, n := range c.nodes {
		wantProblem(t, n.url, c.sendTo(n, get(publishTo, old...)), unauthorized("revoked"))
	}
	for i := range 10 {
		if err := c.nodes[0].gateway.Revoke(t.Context(), fmt.Sprint("user-", i)); err != nil {
			t.Fatal(err)
		}
	}
	c.join(s, logs.Node())
	n := c.nodes[2]
	wantProblem(t, "trimmed", c.sendTo(n, get(publishTo, old...)), unauthorized("revoked"))
	if a := c.sendTo(n, get(publishTo, newer...)); a.status != http.StatusOK {
		t.Errorf("a newer token: %d %s", a.status, a.body)
	}
}

// Until a node knows who was thrown out, it takes no token.
func TestRevokeUnheard(t *testing.T) {
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
