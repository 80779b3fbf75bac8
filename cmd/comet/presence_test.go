package main

import (
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"comet/gateway/wire"
	"comet/internal/servertest"
	"comet/pubsub"
	"comet/pubsub/redistest"
)

// presenceTTL makes leases of 6 s, which a node renews also on a busy machine.
const presenceTTL = 10 * time.Second

// Three nodes, of which one is killed: its users leave after presence.ttl, which
// the streams of both others hear once. Who leaves with a node that drains, and
// comes to another one, never left.
func TestPresenceOfProcesses(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	flags := servertest.GuardedFlags(t, "--redis", redis.Addr(), "--presence-ttl", presenceTTL.String(),
		"--channels", `[{match: chat/secret}, {match: "chat/**", presence: true}]`)
	killed, first := startNode(t, flags...)
	drained, second := startNode(t, flags...)
	_, third := startNode(t, flags...)
	stream := func(url, user string) *wire.Reader {
		events, _ := servertest.OpenStream(t, url+"/v1/events?channel=chat/1&access_token="+servertest.Token(t, user, -time.Minute))
		return events
	}
	watcher := stream(third, "watcher")
	wantTold(t, watcher, "+watcher")
	stream(first, "alice")
	wantTold(t, watcher, "+alice")
	bob := stream(second, "bob")
	wantTold(t, watcher, "+bob")
	stream(second, "carol")
	wantTold(t, watcher, "+carol")
	wantUsers(t, third, "chat/1", "alice", "bob", "carol", "watcher")
	for channel, want := range map[string]int{"chat/secret": http.StatusNotFound, "news": http.StatusNotFound} {
		if r := servertest.Get(t, third+"/v1/channels/"+channel+"/presence?access_token="+servertest.Token(t, "x", -time.Minute)); r.StatusCode != want {
			t.Errorf("%s: %s, want %d", channel, r.Status, want)
		}
	}

	other := stream(second, "other")
	wantTold(t, other, "+other")
	wantTold(t, watcher, "+other")
	killed.signal(os.Kill)
	wantTold(t, watcher, "-alice")
	wantTold(t, other, "-alice")
	wantUsers(t, third, "chat/1", "bob", "carol", "other", "watcher")

	drained.signal(syscall.SIGTERM)
	for user, events := range map[string]*wire.Reader{"bob": bob, "other": other} {
		for servertest.NextEvent(t, events).Kind != wire.KindBye {
		}
		stream(third, user)
	}
	drained.wantExit(exitOK)
	wantTold(t, watcher, "-carol")
	wantUsers(t, third, "chat/1", "bob", "other", "watcher")
	select {
	case <-time.After(presenceTTL / 2): // in which more could be told, and must not
	case <-t.Context().Done():
	}
	stream(third, "marker")
	wantTold(t, watcher, "+marker")
}

// wantTold waits for the next event of a stream, a join or leave as "+alice" or
// "-alice".
func wantTold(t *testing.T, events *wire.Reader, want string) {
	t.Helper()
	e := servertest.NextEvent(t, events)
	if e.Message == nil {
		t.Fatalf("got %+v, want %s", e, want)
	}
	kind := map[byte]string{'+': pubsub.JoinType, '-': pubsub.LeaveType}[want[0]]
	if data := string(e.Message.Data); e.Message.Type != kind || data != `{"user":"`+want[1:]+`"}` {
		t.Fatalf("got %s %s, want %s", e.Message.Type, data, want)
	}
}

func wantUsers(t *testing.T, url, channel string, want ...string) {
	t.Helper()
	body := servertest.Body(t, servertest.Get(t, url+"/v1/channels/"+channel+"/presence?access_token="+servertest.Token(t, "x", -time.Minute)))
	p, err := wire.ParsePresence([]byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	var users []string
	for _, m := range p.Users {
		users = append(users, m.User)
	}
	if got := strings.Join(users, " "); got != strings.Join(want, " ") || p.Count != len(want) {
		t.Errorf("%d users %q, want %q", p.Count, got, want)
	}
}
