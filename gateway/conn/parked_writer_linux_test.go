package conn

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"comet/pubsub"
	"comet/pubsub/membroker"
)

// bench has a parker whose writers and poller do not run: a test takes their
// steps, so that it decides their order.
type bench struct {
	t      testing.TB
	hub    *pubsub.Hub
	parker *Parker
}

func newBench(t testing.TB, writers int, heartbeat time.Duration) *bench {
	t.Helper()
	broker := membroker.New(membroker.Options{Size: 1000, TTL: time.Hour, KeyWindow: time.Minute}).Node()
	poller, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	p := &Parker{Portable: Portable{Heartbeat: heartbeat, counters: newCounters(writers)}, poller: poller}
	p.feeds = newFeedTable(&p.Portable, writers)
	for i := range writers {
		w := newWriter(p, i)
		w.flusher.maxDefer = 0 // each step does all there is to do
		w.clock.elapsed = func() time.Duration { return time.Duration(w.clock.now) * w.clock.tick }
		p.writers = append(p.writers, w)
	}
	b := &bench{t: t, hub: pubsub.NewHub(broker, pubsub.Options{}), parker: p}
	t.Cleanup(func() {
		for _, w := range p.writers {
			for len(w.registry.all) > 0 {
				w.registry.close(w.registry.all[0])
			}
		}
		if len(p.feeds.byKey) > 0 {
			t.Errorf("%d feeds are left", len(p.feeds.byKey))
		}
		if err := poller.close(); err != nil {
			t.Error(err)
		}
		b.hub.Close()
		broker.Close()
	})
	return b
}

// testConn is a stream on the bench, and the client's end of its connection.
type testConn struct {
	*parked
	client int // -1: closed
}

// addStream parks a stream of the channels at writer w.
func (b *bench) addStream(w *writer, channels ...string) *testConn {
	b.t.Helper()
	return b.park(&parked{writer: w, ended: func(CloseReason) {}}, channels)
}

// park parks p, which has no connection and no places yet.
func (b *bench) park(p *parked, channels []string) *testConn {
	b.t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_SNDBUF, 4<<10); err != nil {
		b.t.Fatal(err)
	}
	var starts []pubsub.Start
	for _, c := range channels {
		starts = append(starts, pubsub.Start{Channel: c})
	}
	subscriber, err := b.hub.Subscribe(b.t.Context(), starts)
	if err != nil {
		b.t.Fatal(err)
	}
	defer subscriber.Close()
	cursors := pubsub.NewCursorSet(channels, subscriber.StartCursors())
	p.fd = int32(fds[0])
	if p.poll != nil {
		b.parker.feeds.joinSubscriber(p, subscriber, cursors, "")
	} else if !b.parker.feeds.joinStream(p, &Stream{Subscriber: subscriber, Cursors: cursors, Several: len(channels) > 1}) {
		b.t.Fatal("did not join")
	}
	if p.gzip {
		p.beginBody(nil)
	}
	p.writer.register(p)
	s := &testConn{p, fds[1]}
	b.t.Cleanup(s.hangUp)
	return s
}

// hangUp closes the client's end.
func (s *testConn) hangUp() {
	if s.client >= 0 {
		_ = unix.Close(s.client)
		s.client = -1
	}
}

// publish publishes and waits until every feed of the channel has it.
func (b *bench) publish(channel, data string) {
	b.t.Helper()
	before := make(map[*feed]uint64)
	for key, f := range b.parker.feeds.byKey {
		if key.channel.Name() == channel {
			before[f] = f.nextPosition()
		}
	}
	if r := b.hub.Publish(b.t.Context(), []pubsub.Draft{{Channel: channel, Data: []byte(`"` + data + `"`)}})[0]; r.Err != nil {
		b.t.Fatal(r.Err)
	}
	late := time.Now().Add(patience)
	for f, place := range before {
		for f.nextPosition() == place {
			if time.Now().After(late) {
				b.t.Fatal("the feed did not grow")
			}
		}
	}
}

func (f *feed) nextPosition() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.next
}

// readAll reads what has been written.
func (s *testConn) readAll() []byte {
	var all []byte
	b := make([]byte, 64<<10)
	for {
		n, err := unix.Read(s.client, b)
		if err != nil || n == 0 {
			return all
		}
		all = append(all, b[:n]...)
	}
}

// large fills the socket of a seated.
var large = strings.Repeat("x", 1<<20-1<<10)

// One that goes while its neighbour has something to come takes nothing of it
// along.
func TestClientLeavesDuringFlush(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1, time.Minute)
	w := b.parker.writers[0]
	stays, goes := b.addStream(w, "c"), b.addStream(w, "c")
	b.publish("c", large)
	w.work()
	stays.readAll()
	for stays.blocked {
		w.flusher.catchUp(stays.parked)
		stays.readAll()
	}
	if !goes.blocked {
		t.Fatal("the socket took all: nothing is tested")
	}
	b.publish("c", "1")
	goes.hangUp()
	w.flusher.catchUp(goes.parked) // before the writer has flushed the new message
	w.work()
	if got := stays.readAll(); !bytes.Contains(got, []byte(`"data":"1"`)) {
		t.Errorf("the other one got %q", got)
	}
	if !goes.removed || stays.removed {
		t.Errorf("gone: %v, %v", goes.removed, stays.removed)
	}
}

// A feed keeps what a stream waits for while its socket has just got room,
// whatever other writers do in that moment.
func TestUnblockWhileOthersFlush(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2, time.Minute)
	w, other := b.parker.writers[0], b.parker.writers[1]
	p := b.addStream(w, "c")
	shard := b.addStream(other, "c").positions[0].shard
	stop := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				l := shard.borrow() // a writer whose streams take all
				shard.giveBack(l.end(), 0)
			}
		}
	})
	for range 50 {
		b.publish("c", large[:64<<10])
		w.work()
		for p.readAll(); p.blocked; p.readAll() {
			w.flusher.catchUp(p.parked)
		}
	}
	close(stop)
	running.Wait()
	if p.removed {
		t.Error("a stream that had all was closed as slow")
	}
}

// However many streams a writer has, each gets a sign of life in every
// interval, wherever in it its last message came, and not at once with all.
func TestHeartbeatsInTime(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1, 64*time.Millisecond)
	w := b.parker.writers[0]
	var all []*testConn
	for range 200 {
		all = append(all, b.addStream(w, "c"))
	}
	b.publish("c", "1")
	last := make([]uint32, len(all))
	for range 4 * w.clock.heartbeatTicks {
		w.work()
		w.clock.advance()
		beats := 0
		for i, s := range all {
			if len(s.readAll()) > 0 {
				last[i] = w.clock.now
				beats++
			}
			if quiet := w.clock.now - last[i]; quiet > w.clock.heartbeatTicks {
				t.Fatalf("nothing for %d ticks, an interval has %d", quiet, w.clock.heartbeatTicks)
			}
		}
		if w.clock.now > 1 && beats > len(all)/2 {
			t.Errorf("%d heartbeats at once", beats)
		}
	}
}

// A stream that is written to in time gets no heartbeat.
func TestNoNeedlessHeartbeat(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1, 64*time.Millisecond)
	w := b.parker.writers[0]
	p := b.addStream(w, "c")
	for range 3 {
		b.publish("c", "1")
		w.work()
		for range w.clock.heartbeatTicks / 2 {
			w.clock.advance()
		}
		if got := p.readAll(); bytes.Contains(got, []byte("\r\n:")) {
			t.Errorf("got %q", got)
		}
	}
}

// A stalled stream of several channels holds little, whatever came at once.
func TestStalledHoldsLittle(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1, time.Minute)
	w := b.parker.writers[0]
	p := b.addStream(w, "c", "d")
	for range 14 {
		b.publish("c", large[:64<<10])
	}
	w.work()
	if !p.blocked || len(p.unshared.pending) > 3*maxUnsharedBytes {
		t.Errorf("blocked: %v, holds %d bytes", p.blocked, len(p.unshared.pending))
	}
	for range 40 { // the place leaves the tail
		b.publish("c", large[:64<<10])
	}
	for range w.clock.heartbeatTicks {
		w.clock.advance()
	}
	if !p.removed {
		t.Error("a stream whose place has gone is kept")
	}
}
