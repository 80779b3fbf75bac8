package redisbroker

import (
	"slices"
	"testing"
	"time"

	"comet/pubsub"
)

// lostSink records disconnected channels.
type lostSink struct {
	pubsub.Sink
	lost []string
}

func (s *lostSink) Disconnected(_ time.Time, channels ...string) {
	s.lost = append(s.lost, channels...)
}

// A channel that its connection has already released, because the server took it away, is
// reported as disconnected nevertheless.
func TestOrphanOfNoLink(t *testing.T) {
	sink := &lostSink{}
	r := &relay{sink: sink, retry: time.NewTimer(time.Hour)}
	defer r.retry.Stop()
	r.channelMoved("a")
	r.channelMoved("b")
	r.reportDisconnected()
	r.reportDisconnected()
	if want := []string{"a", "b"}; !slices.Equal(sink.lost, want) {
		t.Errorf("reported that %q were lost, want %q once", sink.lost, want)
	}
	select {
	case <-r.retry.C:
	case <-time.After(minReconnect * 20):
		t.Error("nothing makes the relay carry them again")
	}
}
