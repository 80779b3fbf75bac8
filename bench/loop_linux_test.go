package bench

import (
	"fmt"
	"testing"
	"time"
	"unsafe"
)

// newTestLoop returns an event loop without sockets. All of its subscribers are connected.
func newTestLoop(t testing.TB, plan Plan, subscribers int) *eventLoop {
	plan.Subscribers = subscribers
	plan = plan.complete()
	share := &share{Plan: plan, Run: 7, Nodes: make([]node, 2), Count: subscribers, Arriving: 8}
	s, err := newEventLoop(share, newClock(), make(chan received, 1), make(chan reply, 1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	for i := range s.subscribers {
		s.subscribers[i].state = stateOpen
		s.subscribers[i].in, s.subscribers[i].was = true, true
	}
	return s
}

// feed makes subscriber 0 read b.
func feed(s *eventLoop, b []byte) error {
	s.sink.sub, s.sink.index, s.sink.at = &s.subscribers[0], 0, s.clock.now()
	s.sink.text = append(s.sink.text[:0], s.subscribers[0].text...)
	err := s.subscribers[0].response.feed(b, &s.sink)
	s.subscribers[0].text = kept(s.subscribers[0].text, s.sink.text)
	return err
}

func chunk(event string) []byte { return fmt.Appendf(nil, "%x\r\n%s\r\n", len(event), event) }

func messageEvent(sequence uint32, id string) string {
	m := payloadHeader{run: 7, sequence: sequence}
	return fmt.Sprintf("id: %s\ndata: {\"id\":\"%s\",\"channel\":\"c\",\"data\":\"%s\"}\n\n", id, id, m.append(nil, 100))
}

const streamHead = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

func TestDeliveryAllocatesNothing(t *testing.T) {
	s := newTestLoop(t, Plan{}, 1)
	if err := feed(s, []byte(streamHead)); err != nil {
		t.Fatal(err)
	}
	read := chunk(messageEvent(0, "1795332004162-680290"))
	if err := feed(s, read); err != nil { // the buffer of the cursor
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(1000, func() {
		s.subscribers[0].messages.next[0] = 0
		if err := feed(s, read); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per delivery", n)
	}
	if got := s.subscribers[0].messages.got; got < 1000 {
		t.Errorf("%d deliveries", got)
	}
}

// Neither the message nor the cursor of an incomplete event counts. An idle
// subscriber has no buffers.
func TestOnlyCompleteEventsCount(t *testing.T) {
	s := newTestLoop(t, Plan{Messages: 2}, 1)
	sub := &s.subscribers[0]
	first, second := messageEvent(0, "1-0"), messageEvent(1, "2-0")
	whole := streamHead + string(chunk(first)) + string(chunk(second))
	for at := range whole {
		if err := feed(s, []byte{whole[at]}); err != nil {
			t.Fatal(err)
		}
		want := int64(0)
		if at >= len(streamHead)+len(chunk(first))-3 { // without the chunk's end
			want++
		}
		if at >= len(whole)-3 {
			want++
		}
		if cursor := string(sub.cursor); sub.messages.got != want || cursor != []string{"", "1-0", "2-0"}[want] {
			t.Fatalf("after %d bytes: %d messages, cursor %q; want %d", at+1, sub.messages.got, cursor, want)
		}
	}
	if sub.text != nil || sub.response.rest != nil {
		t.Error("an idle subscriber keeps a buffer")
	}
}

func TestControlEvents(t *testing.T) {
	s := newTestLoop(t, Plan{}, 1)
	if err := feed(s, []byte(streamHead+string(chunk("id: 5-0\nevent: comet.gap\ndata: {}\n\n: \n\n")))); err != nil {
		t.Fatal(err)
	}
	err := feed(s, chunk("event: comet.bye\nretry: 700\ndata: {\"reason\":\"shutdown\"}\n\n"))
	if err != errBye || s.gaps != 1 || string(s.subscribers[0].cursor) != "5-0" || s.subscribers[0].retry != 700*time.Millisecond {
		t.Errorf("error %v, %d gaps, cursor %q, retry %v", err, s.gaps, s.subscribers[0].cursor, s.subscribers[0].retry)
	}
}

// The seed alone chooses the leavers and their times, with any number of workers.
func TestChurnIsTheSeeds(t *testing.T) {
	leavers := func(first, count int) (all map[uint64]instant) {
		s := newTestLoop(t, Plan{Churn: 0.2, Seed: 5}, count)
		s.share.First = first
		s.began = 1_000_000_000_000
		s.churn.second = 3
		s.chooseLeavers()
		all = make(map[uint64]instant)
		for _, l := range s.churn.leavers {
			all[s.global(l.index)] = l.at
		}
		return all
	}
	whole := leavers(0, 1000)
	parts := leavers(0, 300)
	for i, at := range leavers(300, 700) {
		parts[i] = at
	}
	if len(whole) < 150 || len(whole) > 250 || len(parts) != len(whole) {
		t.Errorf("%d of 1000 leave, in parts %d", len(whole), len(parts))
	}
	for i, at := range whole {
		if parts[i] != at || at < 1_003_000_000_000 || at >= 1_004_000_000_000 {
			t.Errorf("%d leaves at %d, in parts at %d", i, at, parts[i])
		}
	}
}

// An idle subscriber may take at most 4 KiB, without sockets. This is the part of
// its struct and tracker.
func TestSubscriberIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(subscriber{}); size > 320 {
		t.Errorf("a subscriber has %d bytes", size)
	}
}

// BenchmarkDelivery measures one delivery without system calls.
func BenchmarkDelivery(b *testing.B) {
	s := newTestLoop(b, Plan{}, 1)
	if err := feed(s, []byte(streamHead)); err != nil {
		b.Fatal(err)
	}
	read := chunk(messageEvent(0, "1795332004162-680290"))
	b.ReportAllocs()
	for b.Loop() {
		s.subscribers[0].messages.next[0] = 0
		if err := feed(s, read); err != nil {
			b.Fatal(err)
		}
	}
}
