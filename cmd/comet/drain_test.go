package main

import (
	"net/http"
	"strings"
	"syscall"
	"testing"

	"comet/gateway/wire"
	"comet/internal/servertest"
)

// TestDrain checks that a draining node first reports it to load balancers while it
// still serves, and then sends comet.bye to its clients.
func TestDrain(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(t *testing.T, node *process, admin string){
		"SIGTERM": func(_ *testing.T, node *process, _ string) { node.signal(syscall.SIGTERM) },
		"request": func(t *testing.T, _ *process, admin string) {
			if r := servertest.Send(t, http.MethodPost, admin+"/v1/drain"); r.StatusCode != http.StatusAccepted {
				t.Errorf("drain: %s", r.Status)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			node, url, admin := startNodeWithAdmin(t, "--drain-delay", "1500ms", "--drain-spread", "500ms")
			if r := servertest.Get(t, admin+"/readyz"); r.StatusCode != http.StatusOK || servertest.Body(t, r) != `{"ready":true}`+"\n" {
				t.Errorf("before: %s", r.Status)
			}
			events, _ := servertest.OpenStream(t, url+"/v1/events?channel=news")
			begin(t, node, admin)
			node.awaitErr("msg=\"drain started\"")
			r := servertest.Get(t, admin+"/readyz")
			if body := servertest.Body(t, r); r.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "draining") {
				t.Errorf("while it drains: %s, %s", r.Status, body)
			}
			if r := servertest.Get(t, url+"/v1/channels/news/messages"); r.StatusCode != http.StatusOK {
				t.Errorf("it no longer serves: %s", r.Status)
			}
			if e := servertest.NextEvent(t, events); e.Kind != wire.KindBye || e.Reason != "shutdown" || e.Retry == 0 {
				t.Errorf("the stream got %+v, want comet.bye", e)
			}
			node.wantExit(exitOK)
			node.awaitErr("remaining=0")
		})
	}
}

// TestDrainCutShort checks that a second signal ends the node at once.
func TestDrainCutShort(t *testing.T) {
	t.Parallel()
	node, url, _ := startNodeWithAdmin(t, "--drain-delay", "10m")
	servertest.OpenStream(t, url+"/v1/events?channel=news")
	node.signal(syscall.SIGTERM)
	node.awaitErr("msg=\"drain started\"")
	node.signal(syscall.SIGTERM)
	if code := node.wait(); code == exitOK {
		t.Error("it ended as if all was well")
	}
}
