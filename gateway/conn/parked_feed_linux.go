package conn

import (
	"slices"
	"sync"
	"time"

	"comet/gateway/wire"
	"comet/pubsub"
)

// feedBytes is how much of a channel a feed keeps for blocked streams. A stream that
// needs older bytes is too slow, and is closed.
const feedBytes = 1 << 20

// spareBytes is the largest buffer that a feed keeps when everything is written.
const spareBytes = 1 << 10

// spareMessageEnds is the same for messageEnds.
const spareMessageEnds = 4

// feed has the newest part of a channel as HTTP chunks in one format, encoded once.
// A stream's position in it is an offset, and all that the stream does not have yet
// is one slice. The first stream that needs a feed makes it; the last one removes it.
type feed struct {
	key    feedKey
	watch  pubsub.Watch
	shards []*shard // by writer.number; nil until the writer has a stream
	users  int32    // guarded by Parker.mu

	blocked     int32      // streams that wait for room in their sockets; guarded by mu, as all below
	mu          sync.Mutex // here because the struct is smaller so, and thousands of feeds are idle
	next        uint64     // the position in the tail after what is encoded
	base        uint64     // the offset of buf[0]
	buf         []byte     // only appended to, so that views of it stay valid
	messageEnds []uint64   // the offsets after its messages; only appended to
	traces      *traces    // nil: writes are not reported
}

// traces are the messages with a Trace, to report their first write.
type traces struct {
	written   func(*pubsub.Message) // Portable.Written
	unwritten []*pubsub.Message     // in the feed's buf, and not written to any stream yet
}

// encodeBuffers are for items that are encoded before their size, which is first in
// a chunk, is known.
var encodeBuffers = sync.Pool{New: func() any { return new([]byte) }}

// feedKey identifies a feed. A feed for unshared encoders has no format and encodes
// nothing: it only wakes their writers.
type feedKey struct {
	channel  *pubsub.Channel
	format   wire.Format
	unshared bool
}

// shard is one writer's part of a feed.
type shard struct {
	feed   *feed
	writer *writer
	slots  []slot // owned by the writer, as all until mu's
	queued bool   // guarded by writer.mu

	lastAnswer *cachedAnswer // owned by the writer; to polls
	deferUntil time.Duration // owned by the writer; when the next flush pass may begin, by schedule.elapsed
	deferred   bool          // owned by the writer; the shard is in flusher.deferred

	// Guarded by feed.mu.
	streams     int        // that have joined
	joining     int        // those of them that are not up to date yet
	busy        bool       // the writer has a view of feed.buf
	flushed     uint64     // all streams that are not blocked have the feed up to this offset
	sampleStart *time.Time // when the publish of a sampled message began that is not written yet, see Stats; nil: no message is
}

// slot is a connection in a shard.
type slot struct {
	conn  *parked
	index int32 // of the feed's channel in conn.positions
}

var _ pubsub.Watcher = (*feed)(nil)

// Grown implements pubsub.Watcher. It encodes items and wakes the writers.
func (f *feed) Grown(items []pubsub.Item) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next += uint64(len(items))
	if !f.key.unshared {
		newest := 0
		for i := range items {
			newest = len(f.buf)
			f.encode(&items[i])
		}
		f.trim(newest)
	}
	start := sampleStartOf(items)
	for _, s := range f.shards {
		if s != nil && s.streams > 0 {
			if s.sampleStart == nil {
				s.sampleStart = start
			}
			s.writer.feedGrown(s)
		}
	}
}

// encode adds one item as a chunk of its own.
func (f *feed) encode(it *pubsub.Item) {
	var cursor [64]byte
	b := encodeBuffers.Get().(*[]byte)
	*b = appendItem((*b)[:0], f.key.format, it, it.After.Append(cursor[:0]), nil, false)
	f.buf = appendChunk(f.buf, *b)
	if cap(*b) <= feedBytes { // a larger one is too much to keep for small items
		encodeBuffers.Put(b)
	}
	if m := it.Message; m != nil {
		f.messageEnds = append(f.messageEnds, f.end())
		if f.traces != nil && m.Trace != "" {
			f.traces.unwritten = append(f.traces.unwritten, m)
		}
	}
}

// reportWritten reports traced, from a view, after a stream was written to.
func (f *feed) reportWritten(traced []*pubsub.Message) {
	for _, m := range traced {
		f.traces.written(m)
	}
}

// lateBytes is how much a feed keeps for writers that are late, because then the node
// is slow and not the streams.
const lateBytes = 8 * feedBytes

// trim drops what exceeds feedBytes, though not at every message. It keeps the newest
// message, which begins at f.buf[newest], whatever its size.
func (f *feed) trim(newest int) {
	if len(f.buf) <= 2*feedBytes {
		return
	}
	extra := min(len(f.buf)-feedBytes, newest)
	for _, s := range f.shards {
		if s != nil && s.streams > 0 && len(f.buf) <= lateBytes {
			extra = min(extra, int(s.flushed-f.base))
		}
	}
	if extra > 0 {
		f.buf = append([]byte(nil), f.buf[extra:]...)
		f.base += uint64(extra)
		gone, _ := slices.BinarySearch(f.messageEnds, f.base+1)
		f.messageEnds = slices.Clone(f.messageEnds[gone:])
	}
}

// end is the offset after the newest byte.
func (f *feed) end() uint64 { return f.base + uint64(len(f.buf)) }

// join counts a stream of w in its shard, and returns the feed's offset for its
// position in the tail. ok is false if items have come since.
func (f *feed) join(w *writer, position uint64) (s *shard, offset uint64, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next != position && !f.key.unshared {
		return nil, 0, false
	}
	if s = f.shards[w.number]; s == nil {
		s = &shard{feed: f, writer: w}
		f.shards[w.number] = s
	}
	if s.streams == 0 {
		s.flushed = f.end()
	}
	s.streams++
	s.joining++
	return s, f.end(), true
}

// addSlot gives at a slot. Only the writer calls it.
func (s *shard) addSlot(at slot) int32 {
	s.slots = append(s.slots, at)
	return int32(len(s.slots) - 1)
}

// removeSlot frees a slot; the last one moves there. Only the writer calls it.
func (s *shard) removeSlot(at int32, blocked bool) {
	last := len(s.slots) - 1
	moved := s.slots[last]
	s.slots[at], s.slots[last] = moved, slot{}
	s.slots = s.slots[:last]
	moved.conn.positions[moved.index].slot = at
	s.leave(blocked)
}

// joined notes that a stream that has joined is up to date.
func (s *shard) joined() {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	s.joining--
	s.feed.dropWritten()
}

// borrow returns a view of all that the feed has, valid until giveBack.
func (s *shard) borrow() feedView {
	f := s.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	s.busy = true
	v := feedView{data: f.buf, base: f.base, flushed: s.flushed, messageEnds: f.messageEnds}
	if f.traces != nil {
		v.traced, f.traces.unwritten = f.traces.unwritten, nil
	}
	return v
}

// giveBack ends a borrow. flushed is the shard's new offset, and blocked is how many
// more streams are blocked than before. It drops what no stream needs any more.
func (s *shard) giveBack(flushed uint64, blocked int) {
	f := s.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	s.busy, s.flushed = false, flushed
	f.blocked += int32(blocked)
	f.dropWritten()
}

// leave notes that a stream, blocked or not, has left the shard.
func (s *shard) leave(blocked bool) {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	s.streams--
	if blocked {
		s.feed.blocked--
	}
	s.feed.dropWritten()
}

// dropWritten empties the buffer if every stream has all of it.
func (f *feed) dropWritten() {
	if f.blocked > 0 {
		return
	}
	for _, s := range f.shards {
		if s != nil && (s.busy || s.joining > 0 || s.streams > 0 && s.flushed != f.end()) {
			return
		}
	}
	f.base = f.end()
	if f.buf = f.buf[:0]; cap(f.buf) > spareBytes {
		f.buf = nil
	}
	if f.messageEnds = f.messageEnds[:0]; cap(f.messageEnds) > spareMessageEnds {
		f.messageEnds = nil
	}
}

// unflushed is the number of bytes that have come since the last flush pass.
func (s *shard) unflushed() int {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	return int(s.feed.end() - max(s.flushed, s.feed.base))
}

// forgotten reports whether the feed has dropped the byte at offset.
func (s *shard) forgotten(offset uint64) bool {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	return offset < s.feed.base
}
