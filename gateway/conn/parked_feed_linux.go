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
	users  int32    // guarded by feedTable.mu

	blocked     int32      // streams that wait for room in their sockets; guarded by mu, as all below
	mu          sync.Mutex // here because the struct is smaller so, and thousands of feeds are idle
	next        uint64     // the position in the tail after what is encoded
	base        uint64     // the offset of buf[0]
	buf         []byte     // only appended to, so that views of it stay valid
	messageEnds []uint64   // the offsets after its messages; only appended to
	extra       *extra     // nil: as in most feeds
}

// extra is what few feeds have. It does not change.
type extra struct {
	traces *traces     // nil: writes are not reported
	merge  *merge      // nil: not the feed of a pattern
	gzip   *sharedGzip // nil: not compressed
}

// merge returns what the feed of a pattern has, nil for other feeds.
func (f *feed) merge() *merge {
	if f.extra == nil {
		return nil
	}
	return f.extra.merge
}

// gzip returns what a compressed feed has, nil for other feeds.
func (f *feed) gzip() *sharedGzip {
	if f.extra == nil {
		return nil
	}
	return f.extra.gzip
}

// traces returns nil if writes are not reported.
func (f *feed) traces() *traces {
	if f.extra == nil {
		return nil
	}
	return f.extra.traces
}

// traces are the messages with a Trace, to report their first write.
type traces struct {
	written   func(*pubsub.Message) // Portable.Written
	unwritten []*pubsub.Message     // in the feed's buf, and not written to any stream yet
}

// encodeBuffers are for items that are encoded before their size, which is first in
// a chunk, is known.
var encodeBuffers = sync.Pool{New: func() any { return new([]byte) }}

// keepEncodeBuffer puts b back, unless it is too much to keep for small items.
func keepEncodeBuffer(b *[]byte) {
	if cap(*b) <= feedBytes {
		encodeBuffers.Put(b)
	}
}

// feedKey identifies a feed. A feed for unshared encoders has no format and encodes
// nothing: it only wakes their writers.
type feedKey struct {
	channel  *pubsub.Channel
	format   wire.Format
	unshared bool
	gzip     bool
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
			var cursor [64]byte
			f.encode(&items[i], items[i].After.Append(cursor[:0]), false)
		}
		f.finish(newest)
	}
	f.wake(items)
}

// finish completes what was encoded together.
func (f *feed) finish(newest int) {
	if g := f.gzip(); g != nil {
		g.compress(f)
		g.trim(f)
		return
	}
	f.trim(newest)
}

// wake wakes the writers, which have items to write.
func (f *feed) wake(items []pubsub.Item) {
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

// encode adds one item as a chunk of its own, with the cursor after it.
func (f *feed) encode(it *pubsub.Item, cursor []byte, several bool) {
	b := encodeBuffers.Get().(*[]byte)
	*b = appendItem((*b)[:0], f.key.format, it, cursor, nil, several)
	f.append(*b)
	keepEncodeBuffer(b)
	if m := it.Message; m != nil {
		f.countMessage()
		if t := f.traces(); t != nil && m.Trace != "" {
			t.unwritten = append(t.unwritten, m)
		}
	}
}

// append adds content as a chunk or, in a compressed feed, to the next part.
func (f *feed) append(content []byte) {
	if g := f.gzip(); g != nil {
		g.add(content)
		return
	}
	f.buf = appendChunk(f.buf, content)
}

// countMessage notes that a message ends here.
func (f *feed) countMessage() {
	if g := f.gzip(); g != nil {
		g.messages++
		return
	}
	f.messageEnds = append(f.messageEnds, f.end())
}

// reportWritten reports traced, from a view, after a stream was written to.
func (f *feed) reportWritten(traced []*pubsub.Message) {
	for _, m := range traced {
		f.extra.traces.written(m)
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
	if g := f.gzip(); g != nil {
		g.drop()
	}
	if f.buf = f.buf[:0]; cap(f.buf) > spareBytes {
		f.buf = nil
	}
	if f.messageEnds = f.messageEnds[:0]; cap(f.messageEnds) > spareMessageEnds {
		f.messageEnds = nil
	}
}

// sampleStartOf returns when the publish of the first sampled message began, nil if
// no message is sampled.
func sampleStartOf(items []pubsub.Item) *time.Time {
	for i := range items {
		if m := items[i].Message; m != nil && m.PublishStart() != nil {
			return m.PublishStart()
		}
	}
	return nil
}
