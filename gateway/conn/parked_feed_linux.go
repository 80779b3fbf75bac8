package conn

import (
	"slices"
	"sync"
	"time"

	"comet/gateway/wire"
	"comet/pubsub"
)

// feedBytes is how much of a channel a feed keeps for streams that are behind.
// One that is further behind is slow, and ended.
const feedBytes = 1 << 20

// spareBytes is the largest buffer that a feed keeps when all is written.
const spareBytes = 1 << 10

// spareMessageEnds is the same for the ends of its messages.
const spareMessageEnds = 4

// feed is the newest part of a channel as HTTP chunks in one format, encoded
// once. A stream's place in it is an offset, and all that it is behind is one
// slice. It is made when the first stream wants it, and goes with the last.
type feed struct {
	key    feedKey
	watch  pubsub.Watch
	shards []*shard // one a writer, nil until it has a stream
	users  int32    // guarded by Parker.mu

	blocked     int32      // streams that wait for their sockets to take more of buf; guarded by mu, as all below
	mu          sync.Mutex // beside the fields above it, for its size: thousands of feeds are idle
	next        uint64     // the place in the tail behind what is encoded
	base        uint64     // the offset of buf[0]
	buf         []byte     // only appended to, so that slices of it stay good
	messageEnds []uint64   // the offsets behind its messages; only appended to as well
	traces      *traces    // nil: nobody wants to know
}

// traces are messages whose first write is told.
type traces struct {
	written   func(*pubsub.Message) // Portable.Written
	unwritten []*pubsub.Message     // in the feed's buf, and not written to anybody yet
}

// encodeBuffers are for items that are encoded before their size, which is first in
// a chunk, is known.
var encodeBuffers = sync.Pool{New: func() any { return new([]byte) }}

// feedKey says what a feed is of. One for those that encode for themselves has
// no format, and only wakes them.
type feedKey struct {
	channel  *pubsub.Channel
	format   wire.Format
	unshared bool
}

// shard is one writer's part of a feed.
type shard struct {
	feed   *feed
	writer *writer
	slots  []slot // owned by the writer
	queued bool   // guarded by writer.mu

	lastAnswer *cachedAnswer // owned by the writer; of polls
	deferUntil time.Duration // owned by the writer; until then, by its clock, it leaves the shard alone
	deferred   bool          // owned by the writer; the shard is in writer.resting

	// Guarded by feed.mu.
	streams     int        // those that have joined
	joining     int        // those of them that the writer has not seated yet
	busy        bool       // the writer has a slice of feed.buf
	flushed     uint64     // up to here the writer has written, but for blocked streams
	sampleStart *time.Time // of something to be written whose time is taken, see Stats; nil: of nothing
}

// slot is a stream's place in a shard; channel is which of its channels the
// feed is of.
type slot struct {
	conn  *parked
	index int32
}

var _ pubsub.Watcher = (*feed)(nil)

// Grown implements pubsub.Watcher: it encodes what came and wakes the writers.
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
	if cap(*b) <= feedBytes { // or a large one would be kept for small ones
		encodeBuffers.Put(b)
	}
	if m := it.Message; m != nil {
		f.messageEnds = append(f.messageEnds, f.end())
		if f.traces != nil && m.Trace != "" {
			f.traces.unwritten = append(f.traces.unwritten, m)
		}
	}
}

// reportWritten tells of traced, which begin lent, once all of it is written to somebody.
func (f *feed) reportWritten(traced []*pubsub.Message) {
	for _, m := range traced {
		f.traces.written(m)
	}
}

// lateBytes is how much a feed keeps for writers that are late. That is the
// node's slowness, and no stream's.
const lateBytes = 8 * feedBytes

// trim drops what is over feedBytes, not at every message, and nothing of the
// newest, however large: it begins at f.buf[newest].
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

// end is the offset behind the newest byte.
func (f *feed) end() uint64 { return f.base + uint64(len(f.buf)) }

// join finds the offset for a stream that is at place in the tail, and counts
// it in the writer's shard. ok is false if messages have come since.
func (f *feed) join(w *writer, place uint64) (s *shard, offset uint64, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next != place && !f.key.unshared {
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

// joined says that the writer has taken in a stream that had joined.
func (s *shard) joined() {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	s.joining--
	s.feed.dropWritten()
}

// borrow lends the writer all that is there, until finish.
func (s *shard) borrow() feedView {
	f := s.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	s.busy = true
	l := feedView{data: f.buf, base: f.base, flushed: s.flushed, messageEnds: f.messageEnds}
	if f.traces != nil {
		l.traced, f.traces.unwritten = f.traces.unwritten, nil
	}
	return l
}

// giveBack says that the writer has written up to end, with so many more streams
// blocked than before, and forgets what nobody needs any more.
func (s *shard) giveBack(end uint64, blocked int) {
	f := s.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	s.busy, s.flushed = false, end
	f.blocked += int32(blocked)
	f.dropWritten()
}

// leave says that a stream is gone, one that was blocked or not.
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

// unflushed is how many bytes have come since the writer last flushed.
func (s *shard) unflushed() int {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	return int(s.feed.end() - max(s.flushed, s.feed.base))
}

// forgotten reports whether the feed has forgotten offset.
func (s *shard) forgotten(offset uint64) bool {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	return offset < s.feed.base
}
