package server

import (
	"context"
	"strings"
	"testing"

	"comet/gateway/wire"
	"comet/internal/servertest"
)

// A node with a listener that fails closes its streams with comet.bye, and ends.
func TestListenerFails(t *testing.T) {
	t.Parallel()
	n := makeNode(t, 100, 0)
	ended := make(chan error, 1)
	go func() { ended <- n.run(context.Background()) }()
	events, _ := servertest.OpenStream(t, n.url()+"/v1/events?channel=news")
	later := servertest.OpenHeld(t, n.url()+"/v1/events?channel=news")
	if err := n.listener.Listener.Close(); err != nil {
		t.Fatal(err)
	}
	for _, stream := range []*wire.Reader{events, later} {
		if e := servertest.NextEvent(t, stream); e.Kind != wire.KindBye || e.Reason != "shutdown" {
			t.Errorf("a stream got %+v", e)
		}
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "serve "+n.url()) {
		t.Errorf("the node ended with %v", err)
	}
}
