package conn

import (
	"time"

	"comet/pubsub"
)

// flusher writes to a writer's connections what has come in their channels. The
// normal case is a flush pass: a feed has grown, and each stream of the writer's
// shard gets, in one write, all of the feed that it does not have yet.
type flusher struct {
	parker   *Parker
	registry *registry
	polls    *pollServer
	closer   *closer
	clock    *clock
	counters *writeCounters

	flushing bool        // a flush pass is under way
	deferred []*shard    // have grown and are flushed later
	timer    *time.Timer // for the first of deferred
	maxDefer time.Duration
	scratch  scratch
	items    []pubsub.Delivery // taken last; a buffer that is used again
}

// flush writes to every stream of a shard what it does not have yet.
func (f *flusher) flush(s *shard) {
	start := s.takeSampleStart()
	v := s.borrow()
	blocked := 0
	f.flushing = true
	for i := len(s.slots) - 1; i >= 0; i-- { // from the end: a removal moves the last one down
		if f.clock.keepTimeEvery(i); i >= len(s.slots) {
			continue
		}
		p := s.slots[i].conn
		if p.blocked {
			continue
		}
		if f.send(p, &v); p.needsFeed() && !p.removed {
			blocked++
		}
		if v.traced != nil && !p.removed {
			s.feed.reportWritten(v.traced)
			v.traced = nil
		}
	}
	f.flushing = false
	s.giveBack(v.end(), blocked)
	f.countMessages(s, &v)
	if start != nil {
		f.counters.all.latency.Observe(time.Since(*start))
	}
}

// countMessages counts the messages that were written from v.
func (f *flusher) countMessages(s *shard, v *feedView) {
	if v.messages > 0 {
		f.counters.addMessages(TransportOf(s.feed.key.format), v.messages)
	}
	f.counters.addGzip(v.content, v.written)
}

// catchUp writes to one connection what it does not have yet.
func (f *flusher) catchUp(p *parked) {
	if p.unshared != nil {
		p.blocked = false
		f.send(p, &feedView{})
		return
	}
	s := p.positions[0].shard
	v := s.borrow() // the feed drops nothing until giveBack, so p need not be counted as blocked
	blocked := 0
	if p.needsFeed() {
		blocked--
	}
	if len(s.slots) == 1 { // with others, some may not have all, even if p leaves just one
		v.flushed = v.end()
	}
	p.blocked = false
	if f.send(p, &v); p.needsFeed() && !p.removed {
		blocked++
	}
	if !p.removed {
		s.feed.reportWritten(v.traced)
	}
	s.giveBack(v.flushed, blocked)
	f.countMessages(s, &v)
}

// send writes to p what it does not have yet: from the view of its feed, or
// encoded for it alone. It closes a stream with a position that is gone as slow.
func (f *flusher) send(p *parked, v *feedView) {
	switch {
	case p.poll != nil:
		f.polls.answerIfAny(p)
		return
	case p.unshared != nil:
		f.sendUnshared(p)
		return
	}
	if p.gzip {
		f.sendGzip(p, v)
		return
	}
	at := &p.single[0]
	if at.next < v.base {
		f.closer.closeStream(p, Slow)
		return
	}
	if n, ok := f.write(p, v.data[at.next-v.base:]); ok && n > 0 {
		from := at.next
		at.next += uint64(n)
		v.messages += v.countBetween(from, at.next)
	}
}

// write writes data, or what the socket takes of it: then p is blocked. ok is
// false if p was closed because of an error.
func (f *flusher) write(p *parked, data []byte) (n int, ok bool) {
	if len(data) == 0 {
		return 0, true
	}
	n, err := p.write(data)
	if err != nil {
		f.registry.close(p)
		return 0, false
	}
	if n > 0 {
		p.writtenTick = f.clock.now
		p.midChunk = n < len(data)
	}
	if n < len(data) {
		p.blocked = true
		f.clock.addBlocked(p)
		f.parker.poller.awaitWritable(p)
	}
	return n, true
}

// sendUnshared writes what a stream with an unshared encoder does not have yet.
func (f *flusher) sendUnshared(p *parked) {
	for {
		n, ok := f.write(p, p.unshared.pending)
		if p.unshared.pending = p.unshared.pending[n:]; !ok || p.blocked {
			return
		}
		p.unshared.pending = nil
		data, items, ok := f.encodeUnshared(p)
		if !ok {
			f.closer.closeStream(p, Slow)
			return
		}
		switch {
		case len(items) == 0:
			return
		case len(data) == 0: // all were left out
			continue
		}
		if n, ok = f.write(p, data); !ok {
			return
		}
		f.counters.addMessages(p.transport(), messagesIn(items)) // those that are pending will be written too
		f.parker.reportWritten(items)
		if n < len(data) {
			p.unshared.pending = append([]byte(nil), data[n:]...)
			return
		}
	}
}

// encodeUnshared encodes the next items of p into scratch; ok is false if a
// position has left its tail.
func (f *flusher) encodeUnshared(p *parked) (data []byte, items []pubsub.Delivery, ok bool) {
	items, ok = p.takeItems(f.items[:0], pumpItems)
	f.items = items
	b := f.scratch[:0]
	var event, cursor []byte
	for i := range items {
		event, cursor = appendDelivery(event[:0], p.format, &items[i], p.unshared.cursors, len(p.positions) > 1, cursor[:0])
		if len(event) > 0 {
			b = appendChunk(b, event)
		}
	}
	f.scratch.keep(b)
	return b, items, ok
}

// scratch is a buffer that is used again.
type scratch []byte

// keep keeps b for the next use, unless it is unusually large.
func (s *scratch) keep(b []byte) {
	if *s = nil; cap(b) <= 2*maxUnsharedBytes {
		*s = b
	}
}
