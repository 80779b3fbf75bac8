package main

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"comet/client"
	"comet/gateway/wire"
	"comet/internal/servertest"
	"comet/internal/testenv"
	"comet/pubsub"
	"comet/pubsub/redistest"
)

// predecessors are the commits whose nodes must be able to share a Redis with those of
// this tree, as they do during a rollout. Add the last one before each change of what
// nodes write to Redis: docs/stability.md promises that two neighbouring versions fit.
var predecessors = flag.String("rollout.commits", "HEAD~1,"+version1, "commits, comma-separated, for TestRollout")

// TestRollout runs a node of each predecessor and one of this tree on one Redis.
func TestRollout(t *testing.T) {
	testenv.Large(t)
	for commit := range strings.SplitSeq(*predecessors, ",") {
		t.Run(commit, func(t *testing.T) {
			old := buildVersion(t, commit)
			r := startRollout(t, old)
			t.Run("messages", r.messages)
			t.Run("keys", r.keys)
			t.Run("presence", r.presence)
			t.Run("revocation", r.revocation)
			t.Run("upgrade", func(t *testing.T) { r.move(t, r.before, r.after) })
			t.Run("downgrade", func(t *testing.T) {
				r := startRollout(t, old)
				r.move(t, r.after, r.before)
			})
		})
	}
}

// rollout is a node of an earlier version and one of this, on one Redis.
type rollout struct {
	before, after rolloutNode
}

type rolloutNode struct {
	name       string
	process    *process
	url, admin string
}

func startRollout(t *testing.T, old string) *rollout {
	t.Helper()
	redis := redistest.Start(t)
	node := func(name, binary string) rolloutNode {
		p, url := setup{binary: binary}.startNode(t, servertest.GuardedFlags(t, "--redis", redis.Addr(), "--node", name,
			"--admin-listen", "127.0.0.1:0", "--channels", `[{match: "chat/**", presence: true}]`, "--presence-ttl", presenceTTL.String())...)
		return rolloutNode{name, p, url, p.awaitErr(`msg=serving .*admin=(\S+)`)[1]}
	}
	return &rollout{before: node("before", old), after: node("after", "")}
}

// both calls f with each node, and the other one.
func (r *rollout) both(f func(here, there rolloutNode)) {
	f(r.before, r.after)
	f(r.after, r.before)
}

// messages: what is published at either node comes from both, in order and once, and a
// cursor of either continues at the other.
func (r *rollout) messages(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	const channel = "news"
	subscribers := map[string]*follower{}
	r.both(func(here, _ rolloutNode) { subscribers[here.name] = follow(t, here.url, channel, "") })
	publish := func(node rolloutNode, n int) {
		t.Helper()
		if _, err := newBackEnd(t, node.url).Publish(ctx, pubsub.Draft{Channel: channel, Data: fmt.Append(nil, n)}); err != nil {
			t.Fatalf("publish at %s: %v", node.name, err)
		}
	}
	for n := range 20 {
		publish([]rolloutNode{r.before, r.after}[n%2], n)
	}
	for name, s := range subscribers {
		s.want(t, name, 0, 20)
		s.stop()
	}
	publish(r.before, 20)
	publish(r.after, 21)
	r.both(func(here, there rolloutNode) {
		resumed := follow(t, there.url, channel, subscribers[here.name].cursor)
		resumed.want(t, "resumed at "+there.name, 20, 22)
		resumed.stop()
		// From the log, with another node's entries in it.
		whole := follow(t, here.url, channel, client.Earliest)
		whole.want(t, "the log at "+here.name, 0, 22)
		whole.stop()
	})
}

// keys: an idempotency key counts at both nodes.
func (r *rollout) keys(t *testing.T) {
	r.both(func(here, there rolloutNode) {
		d := pubsub.Draft{Channel: "news", Data: []byte(`"once"`), Key: "from-" + here.name}
		first, err := newBackEnd(t, here.url).Publish(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		again, err := newBackEnd(t, there.url).Publish(t.Context(), d)
		if err != nil || again.ID != first.ID || !again.Duplicate {
			t.Errorf("first at %s: %+v, then at %s: %+v, %v; want a duplicate", here.name, first, there.name, again, err)
		}
	})
}

// presence: each node lists the users of both, and reports who joins at the other.
func (r *rollout) presence(t *testing.T) {
	stream := func(node rolloutNode, user string) *wire.Reader {
		events, _ := servertest.OpenStream(t, node.url+"/v1/events?channel=chat/1&access_token="+servertest.Token(t, user, 0))
		return events
	}
	alice := stream(r.before, "alice")
	servertest.WantPresence(t, alice, "+alice")
	bob := stream(r.after, "bob")
	servertest.WantPresence(t, alice, "+bob")
	servertest.WantPresence(t, bob, "+bob")
	stream(r.before, "carol")
	servertest.WantPresence(t, bob, "+carol")
	r.both(func(here, _ rolloutNode) { servertest.WantUsers(t, here.url, "chat/1", "alice", "bob", "carol") })
}

// revocation: a user revoked at one node is revoked at the other.
func (r *rollout) revocation(t *testing.T) {
	r.both(func(here, there rolloutNode) {
		user := "revoked-at-" + here.name
		events, _ := servertest.OpenStream(t, there.url+"/v1/events?channel=quiet&access_token="+servertest.Token(t, user, 0))
		if answer := servertest.Send(t, "DELETE", here.admin+"/v1/users/"+user+"/sessions"); answer.StatusCode != 204 {
			t.Fatal(answer.Status)
		}
		if e := servertest.NextEvent(t, events); e.Kind != wire.KindBye {
			t.Errorf("a stream at %s: %+v, want the end", there.name, e)
		}
	})
}

// move: a node leaves, and its subscriber continues at the other.
func (r *rollout) move(t *testing.T, from, to rolloutNode) {
	s := followAll(t, []string{from.url, to.url}, "moving", "")
	publish := func(node rolloutNode, n int) {
		t.Helper()
		if _, err := newBackEnd(t, node.url).Publish(t.Context(), pubsub.Draft{Channel: "moving", Data: fmt.Append(nil, n)}); err != nil {
			t.Fatal(err)
		}
	}
	publish(from, 0)
	publish(to, 1)
	s.want(t, "before it leaves", 0, 2)
	from.process.wantLeave(syscall.SIGTERM)
	publish(to, 2)
	s.want(t, "after it left", 2, 3)
	s.stop()
}

// newBackEnd returns a client with the key of back ends.
func newBackEnd(t *testing.T, urls ...string) *client.Client {
	t.Helper()
	c, err := client.New(client.Options{URLs: urls, Token: func(context.Context) (string, error) { return servertest.BackendKey, nil }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// follower is a subscriber.
type follower struct {
	events chan wire.Event
	end    context.CancelFunc
	ended  chan struct{}
	cursor string // of the last event that want took
}

func follow(t *testing.T, url, channel, cursor string) *follower {
	t.Helper()
	return followAll(t, []string{url}, channel, cursor)
}

// followAll subscribes at the first of urls, and returns when the stream is open.
func followAll(t *testing.T, urls []string, channel, cursor string) *follower {
	t.Helper()
	c := newBackEnd(t, urls...)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	f := &follower{events: make(chan wire.Event), end: cancel, ended: make(chan struct{})}
	go func() {
		defer close(f.ended)
		defer close(f.events)
		for e, err := range c.Subscribe(ctx, client.SubscribeOptions{Channels: []string{channel}, Cursor: cursor}) {
			if err != nil {
				return
			}
			select {
			case f.events <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(f.stop)
	if cursor == "" { // else messages may come first
		for e := range f.events {
			if e.Kind == wire.KindReady {
				return f
			}
		}
		t.Fatal("no stream")
	}
	return f
}

// want waits for the messages with the numbers from first up to end.
func (f *follower) want(t *testing.T, what string, first, end int) {
	t.Helper()
	var got, want []string
	for n := first; n < end; n++ {
		want = append(want, fmt.Sprint(n))
	}
	for len(got) < len(want) {
		e, open := <-f.events
		switch {
		case !open:
			t.Fatalf("%s: got %v and then the end, want %v", what, got, want)
		case e.Kind == wire.KindGap:
			t.Errorf("%s: a gap, %s", what, e.Gap.Reason)
		case e.Kind == wire.KindMessage:
			got = append(got, string(e.Message.Data))
			f.cursor = e.Cursor
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func (f *follower) stop() {
	f.end()
	for range f.events {
	}
	<-f.ended
}
