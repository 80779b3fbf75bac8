package conn

import (
	"bytes"
	"testing"
	"time"
)

// TestMessagesInFull has a stream whose socket takes some of what there is, and
// one that takes all: each message counts once, when its last byte is written.
func TestMessagesInFull(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1, time.Minute)
	w := b.parker.writers[0]
	stalled, well := b.addStream(w, "c"), b.addStream(w, "c")
	counted := func() int64 { return b.parker.Stats().Messages[OverSSE] }
	ends := []byte("\"}\n\n") // of each event, which nothing in a message is
	var read [2][]byte
	drain := func() {
		read[0] = append(read[0], stalled.readAll()...)
		read[1] = append(read[1], well.readAll()...)
	}
	for range 20 {
		b.publish("c", large[:1000])
		w.work()
		read[1] = append(read[1], well.readAll()...)
	}
	if got := counted(); got <= 20 || got >= 40 {
		t.Errorf("of 20 messages to two streams, one of them stalled, %d are counted", got)
	}
	for drain(); stalled.blocked; drain() {
		w.flusher.catchUp(stalled.parked)
		if n := bytes.Count(read[0], ends) + bytes.Count(read[1], ends); counted() < int64(n) {
			t.Fatalf("%d messages were read, and %d counted", n, counted())
		}
	}
	drain()
	if got, n := counted(), bytes.Count(read[0], ends)+bytes.Count(read[1], ends); got != 40 || n != 40 {
		t.Errorf("%d counted, %d read", got, n)
	}
	if got, all := b.parker.Stats().Bytes[OverSSE], len(read[0])+len(read[1]); got != int64(all) {
		t.Errorf("%d bytes counted, %d read", got, all)
	}
}

func TestGauges(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1, time.Minute)
	want := func(streams, polls int64) {
		t.Helper()
		if got := b.parker.Stats(); got.Parked != [Transports]int64{OverSSE: streams, OverPoll: polls} || got.IdlePolls != 0 {
			t.Errorf("parked %+v", got)
		}
	}
	w := b.parker.writers[0]
	s := b.addStream(w, "c")
	several := b.addStream(w, "c", "d")
	poll := b.park(&parked{writer: w, ended: func(CloseReason) {}, poll: &poll{wait: time.Minute, waiting: true}}, []string{"c"})
	want(2, 1)
	w.registry.close(s.parked)
	w.registry.close(poll.parked)
	want(1, 0)
	w.registry.close(several.parked)
	w.registry.close(several.parked)
	want(0, 0)
}
