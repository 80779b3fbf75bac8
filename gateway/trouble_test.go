package gateway_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"comet/pubsub"
)

// While Redis is away publishing says so and streams stay; when it is back
// they go on. It comes back as another life of the primary, which is told.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	c := overRedis(t, setup{timeout: 5 * time.Second})
	var streams []*stream
	for _, n := range c.nodes {
		s := c.openAt(n, "channel=c")
		s.want("ready")
		streams = append(streams, s)
	}
	c.publish("c", "1")
	for _, s := range streams {
		s.want("1")
	}
	c.redis.Stop()
	away := want{503, "unavailable", "nothing was published"}
	wantProblem(t, "publish", c.send(post(publishTo, "2")), away)
	wantProblem(t, "history", c.send(get(publishTo)), want{503, "unavailable", "broker"})
	results := c.batch(asLines, `{"channel":"c","data":2}`)
	if e := results[0].Error; e == nil || e.Type != "urn:comet:problem:unavailable" {
		t.Errorf("batch: %+v", results)
	}
	c.redis.Restart()
	c.persist("c", "3", "k-3")
	for _, s := range streams {
		s.want("gap failover", "3")
	}
}

// persist publishes until it is accepted: Redis is away, or just back.
func (c *cluster) persist(channel, data, key string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		a := c.send(post(channelPath(channel), data, "Idempotency-Key", key))
		if a.status == http.StatusCreated {
			return decode[receipt](c.t, a.body).ID
		}
		if a.status != http.StatusServiceUnavailable || ctx.Err() != nil {
			c.t.Fatalf("publish: %d %s", a.status, a.body)
		}
	}
}

// A Redis that answers nothing leaves open whether it took the message, and
// repeating with the key settles it.
func TestRedisFrozen(t *testing.T) {
	t.Parallel()
	const timeout = time.Second
	c := overRedis(t, setup{timeout: timeout})
	s := c.open("channel=c")
	s.want("ready")
	c.publish("c", "1")
	s.want("1")
	c.redis.Freeze()
	try := post(publishTo, "2", "Idempotency-Key", "k")
	start := time.Now()
	wantProblem(t, "publish", c.sendTo(c.nodes[0], try), want{503, "outcome-unknown", "Idempotency-Key"})
	if took := time.Since(start); took < timeout/2 {
		t.Errorf("answered after %v, want %v at least", took, timeout/2)
	}
	c.redis.Thaw()
	c.persist("c", "2", "k")
	c.persist("c", "3", "k-3")
	s.want("2", "3")
	if h := c.history("c", ""); len(h.Messages) != 3 {
		t.Errorf("history %q", datas(h.Messages))
	}
}

// A node that leaves says goodbye and lets nobody in; the others go on.
func TestLeave(t *testing.T) {
	overEach(t, setup{}, func(t *testing.T, c *cluster) {
		leaving := c.nodes[0]
		streams := []*stream{
			c.openAt(leaving, "channel=c"),
			c.openAt(leaving, "channel=c&channel=d&format=raw"),
			c.openAt(leaving, "channel=c", "Accept", asLines),
		}
		for _, s := range streams {
			s.want("ready")
		}
		leaving.gateway.Drain(0)
		for _, s := range streams {
			bye := s.next()
			if tell(bye) != "bye shutdown" || bye.Retry <= 0 {
				t.Errorf("got %s, retry %v", tell(bye), bye.Retry)
			}
			s.wantEnd()
		}
		for _, target := range []string{"/v1/events?channel=c", "/v1/poll?channel=c"} {
			wantProblem(t, target, c.sendTo(leaving, get(target)), want{503, "unavailable", "shutting down"})
		}
		if len(c.nodes) == 1 {
			return
		}
		c.publish("c", "1")
		c.openAt(c.nodes[1], "channel=c&cursor="+streams[0].cursor).want("ready", "1")
	})
}

// explosive is a broker with a bug.
type explosive struct{ pubsub.Broker }

func (b explosive) Publish(ctx context.Context, drafts []pubsub.Draft) []pubsub.Receipt {
	if drafts[0].Channel == "boom" {
		panic("boom")
	}
	return b.Broker.Publish(ctx, drafts)
}

// A panic ends the request that caused it and harms no other.
func TestPanic(t *testing.T) {
	s := setup{wrap: func(b pubsub.Broker) pubsub.Broker { return explosive{b} }}
	overEach(t, s, func(t *testing.T, c *cluster) {
		live := c.open("channel=c&channel=boom")
		live.want("ready")
		for _, n := range c.nodes {
			res, err := c.begin(t.Context(), n, post("/v1/channels/boom/messages", "1"))
			if err == nil {
				res.Body.Close()
				t.Errorf("got an answer: %s", res.Status)
			}
			c.publish("c", "1")
			live.want("1")
		}
	})
}
