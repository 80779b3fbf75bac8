package conn

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"comet/gateway/wire"
	"comet/pubsub"
)

// gzipBench is a bench with recording sockets, and streams with gzip that begin and end
// at any moment. beside is a stream without gzip, for what they should get.
type gzipBench struct {
	*bench
	w        *writer
	r        *rand.Rand
	sockets  map[int]*recorder
	beside   *gzipClient
	live     []*gzipClient
	messages int // that the feed has
	switched int // streams that got shared parts
}

// recorder is a socket that takes room bytes.
type recorder struct {
	got  []byte
	room int
}

type gzipClient struct {
	*parked
	*recorder
	ready []byte
	from  int // messages that it must not get
}

func newGzipBench(t testing.TB, seed uint64) *gzipBench {
	b := &gzipBench{bench: newBench(t, 1, time.Minute), r: rand.New(rand.NewPCG(seed, 1)), sockets: make(map[int]*recorder)}
	b.w = b.parker.writers[0]
	b.w.socketWrite = func(fd int, data []byte) (int, error) {
		s := b.sockets[fd]
		n := min(len(data), s.room)
		if n == 0 {
			return -1, unix.EAGAIN
		}
		s.got = append(s.got, data[:n]...)
		s.room -= n
		return n, nil
	}
	b.beside = b.join(false)
	return b
}

const noEnd = 1 << 40

// join adds a stream that begins with the next message.
func (b *gzipBench) join(gzip bool) *gzipClient {
	b.t.Helper()
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		b.t.Fatal(err)
	}
	subscriber, err := b.hub.Subscribe(b.t.Context(), []pubsub.Start{{Channel: "c"}})
	if err != nil {
		b.t.Fatal(err)
	}
	defer subscriber.Close()
	cursors := pubsub.NewCursorSet([]string{"c"}, subscriber.StartCursors())
	c := &gzipClient{
		parked:   &parked{writer: b.w, fd: int32(fd), gzip: gzip, ended: func(CloseReason) {}},
		recorder: &recorder{room: noEnd}, from: b.messages,
		ready: wire.SSE.AppendReady(nil, "n", cursors.Append(nil), nil, false),
	}
	b.sockets[fd] = c.recorder
	if !b.parker.feeds.joinStream(c.parked, &Stream{Subscriber: subscriber, Cursors: cursors}) {
		b.t.Fatal("did not join")
	}
	body := c.ready
	if gzip {
		body = c.beginBody(c.ready)
		b.live = append(b.live, c)
	}
	c.got = appendChunk(nil, body)
	b.w.register(c.parked)
	return c
}

func (b *gzipBench) publish(size int) {
	b.t.Helper()
	symbol := [...]string{"EURUSD", "GBPUSD", "USDJPY"}[b.r.IntN(3)]
	b.bench.publish("c", fmt.Sprintf("%s bid=%.5f ask=%.5f volume=%d %s", symbol, b.r.Float64(), b.r.Float64(), b.r.IntN(1e6), strings.Repeat("x", size)))
	b.messages++
}

// content returns the decoded body so far; whole: it must have ended, with a right trailer.
func (c *gzipClient) content(t testing.TB, whole bool) []byte {
	t.Helper()
	body, err := io.ReadAll(&chunks{r: bufio.NewReader(bytes.NewReader(c.got))})
	if whole && err != nil || !whole && err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("the chunks: %v", err)
	}
	if !c.gzip {
		return body
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(z)
	if whole && err != nil || !whole && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("after %d bytes of content: %v", len(got), err)
	}
	return got
}

// check compares what clients got with the events of the stream beside.
func (b *gzipBench) check(events []byte, whole bool, clients ...*gzipClient) {
	b.t.Helper()
	ends := []int{0}
	for at := 0; at < len(events); {
		at += bytes.Index(events[at:], []byte("\n\n")) + 2
		ends = append(ends, at)
	}
	if len(ends) != b.messages+1 {
		b.t.Fatalf("the stream without gzip got %d messages of %d", len(ends)-1, b.messages)
	}
	heartbeat := wire.SSE.AppendHeartbeat(nil)
	for _, c := range clients {
		got := c.content(b.t, whole)
		got, found := bytes.CutPrefix(got, c.ready)
		if before, _, bye := bytes.Cut(got, []byte("retry: ")); bye {
			got = before
		}
		if got = bytes.ReplaceAll(got, heartbeat, nil); !found || !bytes.Equal(got, events[ends[c.from]:]) {
			b.t.Fatalf("joined after %d messages of %d: got %d bytes, want %d", c.from, b.messages, len(got), len(events)-ends[c.from])
		}
	}
}

// events is what the stream beside got, without what is its own.
func (b *gzipBench) events() []byte {
	return bytes.ReplaceAll(bytes.TrimPrefix(b.beside.content(b.t, false), b.beside.ready), wire.SSE.AppendHeartbeat(nil), nil)
}

// Streams that join, get heartbeats, stall, go on and end at any moment decode to what a
// stream without gzip gets, at 10,000 points.
func TestGzipJoinsAnywhere(t *testing.T) {
	t.Parallel()
	const joins = 10_000
	for run := range uint64(2) {
		t.Run(fmt.Sprint(run), func(t *testing.T) {
			t.Parallel()
			b := newGzipBench(t, run)
			for joined := 0; joined < joins/2; {
				switch step := b.r.IntN(20); {
				case step < 8:
					c := b.join(true)
					joined++
					if b.r.IntN(3) == 0 {
						c.room = b.r.IntN(3000)
					}
				case step < 12:
					b.publish(b.r.IntN(400))
				case step < 16:
					b.w.work()
				case step == 16 && b.r.IntN(4) == 0:
					b.publish(20_000)
				case step == 17 && b.r.IntN(4) == 0: // the window ends
					b.endWindow()
				case step == 18:
					b.heartbeats()
				case step == 19:
					b.unblock()
				}
				if len(b.live) > 40 {
					b.end()
				}
			}
			b.end()
			if b.switched < joins/2/8 {
				t.Errorf("%d streams of %d got shared parts", b.switched, joins/2)
			}
		})
	}
}

// endWindow has the next part be fresh.
func (b *gzipBench) endWindow() {
	for key, f := range b.parker.feeds.byKey {
		if key.gzip {
			f.releaseEncoder(time.Now().Add(gzipAge))
		}
	}
}

// heartbeats sends some streams a heartbeat.
func (b *gzipBench) heartbeats() {
	for _, c := range b.live {
		if b.r.IntN(4) == 0 && !c.blocked && c.room > 100 {
			b.w.clock.sendHeartbeat(c.parked)
		}
	}
}

// unblock lets some stalled streams go on, a bit or for good.
func (b *gzipBench) unblock() {
	for _, c := range b.live {
		if c.blocked && b.r.IntN(2) == 0 {
			c.room = b.r.IntN(5000)
			b.w.flusher.catchUp(c.parked)
		}
	}
}

// end ends all streams and checks what they got.
func (b *gzipBench) end() {
	b.t.Helper()
	b.w.work()
	for _, c := range b.live {
		if c.sharesGzip {
			b.switched++
		}
		c.room = noEnd
		if c.blocked {
			b.w.flusher.catchUp(c.parked)
		}
	}
	events := b.events()
	b.check(events, false, b.live[:min(len(b.live), 5)]...)
	for _, c := range b.live {
		b.w.closer.closeStream(c.parked, Shutdown)
	}
	b.check(events, true, b.live...)
	b.live = nil
}
