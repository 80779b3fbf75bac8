package server

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"comet/gateway/wire"
	"comet/internal/servertest"
	"comet/internal/testenv"
	"comet/pubsub/redistest"
)

// presenceTTL makes leases of 6 s, which a node renews also on a busy machine.
const presenceTTL = 10 * time.Second

// Rules for channels change while a node runs: history for what is published
// then, presence for users that connect then.
func TestReloadRules(t *testing.T) {
	t.Parallel()
	t.Run("memory", func(t *testing.T) { t.Parallel(); testReloadRules(t) })
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		testReloadRules(t, "--redis", redistest.Start(t).Addr())
	})
}

func testReloadRules(t *testing.T, flags ...string) {
	files := servertest.NewVolume(t, `channels: [{match: "chat/**", presence: true, history: {size: 500}}]`)
	flags = append(flags, "--config", files.File(), "--presence-ttl", presenceTTL.String())
	node, url := startNode(t, servertest.GuardedFlags(t, flags...)...)
	channel := func(path, user string) string {
		return url + path + "access_token=" + servertest.Token(t, user, -time.Minute)
	}
	listening, _ := servertest.OpenStream(t, channel("/v1/events?channel=chat/1&", "watcher"))
	servertest.WantPresence(t, listening, "+watcher")
	early, _ := servertest.OpenStream(t, channel("/v1/events?channel=news&", "early"))
	leaver := servertest.Get(t, channel("/v1/events?channel=chat/1&", "leaver"))
	servertest.WantPresence(t, listening, "+leaver")
	kept := func() int {
		body := servertest.Body(t, servertest.Get(t, channel("/v1/channels/chat/1/messages?limit=1000&", "x")))
		h, err := wire.ParseHistory([]byte(body))
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		return len(h.Messages)
	}
	publishNumbered(t, url, "chat/1", 300)
	for i := range 300 {
		wantMessage(t, listening, i)
	}
	if n := kept(); n != 300 {
		t.Errorf("%d messages are kept of 300", n)
	}

	files.Swap(`channels: [{match: "chat/**", history: {size: 10, ttl: 2s}}, {match: news, presence: true}]`)
	node.awaitLog(`msg="setting changed" node=\S+ setting=channels from=".*size: 500.*" to=".*size: 10, ttl: 2s.*"\n`)
	node.awaitLog(`reason="a file changed" changed=1 restart=0\n`)

	servertest.OpenStream(t, channel("/v1/events?channel=chat/1&", "unheard"))
	if r := servertest.Get(t, channel("/v1/channels/chat/1/presence?", "x")); r.StatusCode != http.StatusNotFound {
		t.Errorf("presence of a channel that has none any more: %s", r.Status)
	}
	servertest.OpenStream(t, channel("/v1/events?channel=news&", "late"))
	servertest.WantPresence(t, early, "+late")
	servertest.WantUsers(t, url, "news", "late") // who was there already does not count

	_ = leaver.Body.Close()
	select {
	case <-time.After(presenceTTL + time.Second): // in which a leave would be reported
	case <-t.Context().Done():
	}
	publishNumbered(t, url, "chat/1", 1)
	if n := kept(); n < 1 || n > 200 {
		t.Errorf("%d messages are kept, want some 10", n) // Redis trims in blocks
	}
	wantMessage(t, listening, 0) // and got no event before
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for end := time.Now().Add(testenv.Patience); kept() > 0; <-again.C {
		if time.Now().After(end) {
			t.Fatal("the log does not expire")
		}
	}
	node.wantLeave()
}

func wantMessage(t *testing.T, events *wire.Reader, number int) {
	t.Helper()
	if e := servertest.NextEvent(t, events); e.Message == nil || string(e.Message.Data) != fmt.Sprint(number) {
		t.Fatalf("got %+v, want message %d", e, number)
	}
}

// publishNumbered publishes the numbers below n, in batches.
func publishNumbered(t *testing.T, url, channel string, n int) {
	t.Helper()
	for first := 0; first < n; first += 100 {
		var lines strings.Builder
		for i := first; i < min(n, first+100); i++ {
			fmt.Fprintf(&lines, "{\"channel\": %q, \"data\": %d}\n", channel, i)
		}
		header := append(servertest.Bearer(servertest.BackendKey), "Content-Type", "application/x-ndjson")
		if r := servertest.Ask(t, http.MethodPost, url+"/v1/publish", lines.String(), header...); r.StatusCode != http.StatusOK {
			t.Fatalf("publish: %s: %s", r.Status, servertest.Body(t, r))
		}
	}
}
