package main

import (
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"comet/gateway/wire"
	"comet/internal/servertest"
	"comet/pubsub/redistest"
)

// presenceTTL makes leases of 6 s, which a node renews also on a busy machine.
const presenceTTL = 10 * time.Second

// TestPresenceOfProcesses kills one of three nodes: its users leave after
// presence.ttl, and streams on the other nodes get each leave once. Users that move
// from a draining node to another have not left.
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
	servertest.WantPresence(t, watcher, "+watcher")
	stream(first, "alice")
	servertest.WantPresence(t, watcher, "+alice")
	bob := stream(second, "bob")
	servertest.WantPresence(t, watcher, "+bob")
	stream(second, "carol")
	servertest.WantPresence(t, watcher, "+carol")
	servertest.WantUsers(t, third, "chat/1", "alice", "bob", "carol", "watcher")
	for channel, want := range map[string]int{"chat/secret": http.StatusNotFound, "news": http.StatusNotFound} {
		if r := servertest.Get(t, third+"/v1/channels/"+channel+"/presence?access_token="+servertest.Token(t, "x", -time.Minute)); r.StatusCode != want {
			t.Errorf("%s: %s, want %d", channel, r.Status, want)
		}
	}

	other := stream(second, "other")
	servertest.WantPresence(t, other, "+other")
	servertest.WantPresence(t, watcher, "+other")
	killed.signal(os.Kill)
	servertest.WantPresence(t, watcher, "-alice")
	servertest.WantPresence(t, other, "-alice")
	servertest.WantUsers(t, third, "chat/1", "bob", "carol", "other", "watcher")

	drained.signal(syscall.SIGTERM)
	for user, events := range map[string]*wire.Reader{"bob": bob, "other": other} {
		for servertest.NextEvent(t, events).Kind != wire.KindBye {
		}
		stream(third, user)
	}
	drained.wantExit(exitOK)
	servertest.WantPresence(t, watcher, "-carol")
	servertest.WantUsers(t, third, "chat/1", "bob", "other", "watcher")
	select {
	case <-time.After(presenceTTL / 2): // no other change may be reported meanwhile
	case <-t.Context().Done():
	}
	stream(third, "marker")
	servertest.WantPresence(t, watcher, "+marker")
}

// TestReloadRulesLeases checks that a node watches the leases of a channel that was
// open before it had presence: it reports users that left with a node that died.
func TestReloadRulesLeases(t *testing.T) {
	t.Parallel()
	files := servertest.NewVolume(t, "channels: []")
	flags := servertest.GuardedFlags(t, "--redis", redistest.Start(t).Addr(), "--config", files.File(), "--presence-ttl", presenceTTL.String())
	first, here := startNode(t, flags...)
	second, there := startNode(t, flags...)
	listening, _ := servertest.OpenStream(t, here+"/v1/events?channel=news&access_token="+servertest.Token(t, "early", -time.Minute))
	files.Swap("channels: [{match: news, presence: true}]")
	for _, node := range []*process{first, second} {
		node.awaitErr(`reason="a file changed" changed=1 restart=0\n`)
	}
	servertest.OpenStream(t, there+"/v1/events?channel=news&access_token="+servertest.Token(t, "late", -time.Minute))
	servertest.WantPresence(t, listening, "+late")
	second.signal(os.Kill)
	servertest.WantPresence(t, listening, "-late")
}
