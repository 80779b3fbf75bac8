package conn

import (
	"slices"
	"time"

	"comet/pubsub"
)

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

// join counts a stream of w in its shard, and returns the feed's offset for its
// position in the tail. Call joined when the stream is up to date, unless its encoder is
// unshared. ok is false if items have come since.
func (f *feed) join(w *writer, position uint64) (s *shard, offset uint64, ok bool) {
	return f.joinAt(w, func() bool { return f.next == position || f.key.unshared })
}

// joinAt is join for a stream that is where isThere, called with f locked, says.
func (f *feed) joinAt(w *writer, isThere func() bool) (s *shard, offset uint64, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !isThere() {
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
	if !f.key.unshared { // else it needs no bytes of the feed
		s.joining++
	}
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

// joined notes that p, which has joined its feed, is up to date.
func (p *parked) joined() {
	if p.unshared != nil || p.poll != nil {
		return
	}
	s := p.single[0].shard
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
	if g := f.gzip(); g != nil {
		v.stored, v.storedBase, v.parts = g.stored, g.storedBase, g.parts
		v.after = g.last.Bytes
	}
	if t := f.traces(); t != nil {
		v.traced, t.unwritten = t.unwritten, nil
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

// unflushed is the number of bytes that have come since the last flush pass.
func (s *shard) unflushed() int {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	return int(s.feed.end() - max(s.flushed, s.feed.base))
}

// forgotten reports whether the feed has dropped the next byte of p, a stream.
func (s *shard) forgotten(p *parked) bool {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	base := s.feed.base
	if p.gzip && !p.sharesGzip {
		base = s.feed.gzip().storedBase
	}
	return p.single[0].next < base
}

// takeSampleStart returns and clears sampleStart. Messages that come later belong to
// the next pass.
func (s *shard) takeSampleStart() *time.Time {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	start := s.sampleStart
	s.sampleStart = nil
	return start
}

// feedView is what a writer sees of a feed in a flush pass.
type feedView struct {
	data        []byte
	base        uint64            // the offset of data[0]
	flushed     uint64            // shard.flushed
	messageEnds []uint64          // the offsets after the messages in data
	traced      []*pubsub.Message // messages in data to report when a stream gets them

	// Of a compressed feed, see sharedGzip.
	stored     []byte
	storedBase uint64
	parts      []part
	after      uint64 // content up to the end of parts
	content    int    // of the parts that were written to all streams together
	written    int    // the bytes that this took

	messages int // written to all streams together, counted at the end of the pass

	// The last result of countBetween: in a pass nearly all streams ask the same.
	from, to       uint64
	between        int
	betweenContent int // of a compressed feed
}

func (v *feedView) end() uint64 { return v.base + uint64(len(v.data)) }

// countBetween counts the messages that end after from, and not after to.
func (v *feedView) countBetween(from, to uint64) int {
	if from != v.from || to != v.to {
		first, _ := slices.BinarySearch(v.messageEnds, from+1)
		last, _ := slices.BinarySearch(v.messageEnds, to+1)
		v.from, v.to, v.between = from, to, last-first
	}
	return v.between
}
