package conn

import (
	"testing"

	"comet/gateway/wire"
	"comet/pubsub"
)

// Without Portable.Written, traces cost nothing.
func TestUntracedCostsNothing(t *testing.T) {
	plain, traced := &pubsub.Message{Type: "m", Data: []byte("1")}, &pubsub.Message{Type: "m", Data: []byte("1"), Trace: "00-a"}
	p := &Portable{}
	if n := testing.AllocsPerRun(100, func() { p.reportWritten([]pubsub.Delivery{{Item: pubsub.Item{Message: traced}}}) }); n > 0 {
		t.Errorf("wrote makes %v allocations", n)
	}
	grow := func(m *pubsub.Message) float64 {
		f := &feed{key: feedKey{format: wire.SSE}, buf: make([]byte, 0, 1<<20)}
		items := []pubsub.Item{{Message: m}}
		n := testing.AllocsPerRun(1000, func() { f.Grown(items) })
		if f.extra != nil {
			t.Errorf("keeps %v", f.extra)
		}
		return n
	}
	if with, without := grow(traced), grow(plain); with > without {
		t.Errorf("a feed grows with %v allocations, and %v without a trace", with, without)
	}
}
