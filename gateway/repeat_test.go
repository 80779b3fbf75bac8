package gateway_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"comet/gateway"
	"comet/gateway/auth"
	"comet/gateway/conn"
	"comet/gateway/limit"
)

// repeater is a client that polls on one connection, with the same request each time
// except for the cursor.
type repeater struct {
	*poller
	header string
	cursor string
}

// newRepeater has polled n twice in channel c, which is open: the first poll after the two
// repeats the second.
func newRepeater(t *testing.T, c *cluster, header ...string) *repeater {
	t.Helper()
	n := c.nodes[0]
	p := &repeater{poller: newPoller(t, n)}
	for i := 0; i < len(header); i += 2 {
		p.header += header[i] + ": " + header[i+1] + "\r\n"
	}
	n.openChannels(t, "c")
	p.poller.send("/v1/poll?channel=c&wait=1ms", p.header)
	p.cursor = p.answer().Cursor
	for range 2 { // the first one may be read by net/http
		p.send("1ms")
		p.cursor = p.answer().Cursor
	}
	return p
}

func (p *repeater) send(wait string) {
	p.t.Helper()
	p.poller.send(fmt.Sprintf("/v1/poll?channel=c&wait=%s&cursor=%s", wait, p.cursor), p.header)
}

func TestRepeatedPolls(t *testing.T) {
	t.Parallel()
	if *portableFlag {
		t.Skip("without parking no poll is repeated")
	}
	for _, who := range []string{"anonymous", "a user"} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			of := setup{gateway: gateway.Options{Policy: gateway.Policy{Limiter: limit.New(limit.Options{AddressConnections: 9})}}, quiet: true, heartbeat: time.Second}
			var header, publisher []string
			if who == "a user" {
				of = presentFor(t, longGrace)
				of.heartbeat, of.quiet = time.Second, true
				header, publisher = as(t, "alice", nil), bearer(keyText)
			}
			c := overMemory(t, of)
			publish := func(data string) string {
				return c.accepted(post(channelPath("c"), data, append(publisher, "Content-Type", asJSON)...)).ID
			}
			p := newRepeater(t, c, header...)
			p.send("50s") // which is parsed, because wait has changed
			n := c.nodes[0]
			before := n.fastAccepts.Load() + 1
			connects := n.gateway.Stats().Connects[conn.OverPoll]
			for i := range 50 {
				id := publish(fmt.Sprint(i))
				for got := ""; got != id; {
					a := p.answer()
					for _, m := range a.Messages {
						if got = m.ID.String(); !m.Ephemeral() && (got != id || string(m.Data) != fmt.Sprint(i)) { // ephemeral: alice joins
							t.Fatalf("message %d: %+v", i, m)
						}
					}
					p.cursor = a.Cursor
					p.send("50s")
				}
			}
			publish("0")
			p.answer()
			if n := n.fastAccepts.Load(); n > before {
				t.Errorf("%d of the requests were parsed", n-before)
			}
			if got := n.gateway.Stats().Connects[conn.OverPoll] - connects; got < 50 || got > 52 {
				t.Errorf("%d polls count", got)
			}
			for late := time.Now().Add(patience); n.gateway.Connections() != 0; {
				if time.Now().After(late) {
					t.Fatalf("%d polls are still counted", n.gateway.Connections())
				}
			}
			if users := n.channelUsers(t, "c"); users != 1 {
				t.Errorf("%d use the channel, want the test alone", users)
			}
		})
	}
}

// Each poll is refused for the reasons for which the first one would be, also if its request is not parsed.
func TestRepeatedPollRefused(t *testing.T) {
	t.Parallel()
	t.Run("the rules have changed", func(t *testing.T) {
		t.Parallel()
		c := overMemory(t, setup{quiet: true})
		p := newRepeater(t, c)
		nobody, err := auth.New(auth.Options{Anonymous: auth.Permissions{Publish: patterns([]string{"**"})}})
		if err != nil {
			t.Fatal(err)
		}
		policy := c.nodes[0].gateway.Policy()
		policy.Auth = nobody
		if err := c.nodes[0].gateway.SetPolicy(policy); err != nil {
			t.Fatal(err)
		}
		p.wantRefused(http.StatusForbidden)
	})
	t.Run("the user is revoked", func(t *testing.T) {
		t.Parallel()
		c := overMemory(t, setup{access: guarded(t), quiet: true})
		p := newRepeater(t, c, bearer(token(t, map[string]any{"sub": "mallory"}))...)
		c.revoke("mallory")
		p.send("1ms")
		p.wait()
		if res, err := http.ReadResponse(p.r, nil); err == nil && res.StatusCode != http.StatusUnauthorized {
			t.Errorf("answered %s", res.Status)
		}
	})
	t.Run("the token ends", func(t *testing.T) {
		t.Parallel()
		c := overMemory(t, setup{access: guarded(t), quiet: true})
		end := time.Now().Add(6 * time.Second).Truncate(time.Second) // as exp is, and not before the first polls
		p := newRepeater(t, c, bearer(token(t, map[string]any{"exp": end.Add(-leeway).Unix()}))...)
		time.Sleep(time.Until(end)) // the clock of tokens is the machine's
		p.wantRefused(http.StatusUnauthorized)
	})
	t.Run("the rate is exceeded", func(t *testing.T) {
		t.Parallel()
		limiter := limit.New(limit.Options{AddressRequests: limit.Rate{PerSecond: 0.001, Burst: 4}})
		c := overMemory(t, setup{gateway: gateway.Options{Policy: gateway.Policy{Limiter: limiter}}, quiet: true})
		p := newRepeater(t, c)
		p.send("1ms")
		p.cursor = p.answer().Cursor
		p.wantRefused(http.StatusTooManyRequests)
	})
	t.Run("there are too many connections", func(t *testing.T) {
		t.Parallel()
		limiter := limit.New(limit.Options{AddressConnections: 1})
		c := overMemory(t, setup{gateway: gateway.Options{Policy: gateway.Policy{Limiter: limiter}}, quiet: true})
		p := newRepeater(t, c)
		openRaw(t, c.nodes[0], "/v1/events?channel=c", "")
		p.wantRefused(http.StatusTooManyRequests)
	})
}

func (p *repeater) wantRefused(status int) {
	p.t.Helper()
	p.send("1ms")
	if got, body := p.response(); got != status {
		p.t.Errorf("answered %d %s, want %d", got, body, status)
	}
}
