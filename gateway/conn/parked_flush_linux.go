package conn

import "comet/pubsub"

// flush writes to every stream of a shard what it is behind.
func (w *writer) flush(s *shard) {
	began := s.takeSampleStart()
	l := s.borrow()
	blocked := 0
	w.flushing = true
	for i := len(s.slots) - 1; i >= 0; i-- { // from the end: a removal moves the last one down
		if w.keepTimeEvery(i); i >= len(s.slots) {
			continue
		}
		p := s.slots[i].conn
		if p.blocked {
			continue
		}
		if w.send(p, &l); p.needsFeed() && !p.removed {
			blocked++
		}
		if l.traced != nil && !p.removed {
			s.feed.reportWritten(l.traced)
			l.traced = nil
		}
	}
	w.flushing = false
	s.giveBack(l.end(), blocked)
	w.recordPass(s, &l, began)
}

// catchUp writes to one stream what it is behind.
func (w *writer) catchUp(p *parked) {
	if p.unshared != nil {
		p.blocked = false
		w.send(p, &feedView{})
		return
	}
	s := p.positions[0].shard
	l := s.borrow() // from here on the feed forgets nothing, so p needs no count as blocked
	blocked := 0
	if p.needsFeed() {
		blocked--
	}
	if len(s.slots) == 1 { // else others may be behind, even if p goes now and leaves one
		l.flushed = l.end()
	}
	p.blocked = false
	if w.send(p, &l); p.needsFeed() && !p.removed {
		blocked++
	}
	if !p.removed {
		s.feed.reportWritten(l.traced)
	}
	s.giveBack(l.flushed, blocked)
	w.countMessages(s, &l)
}

// send writes what p is behind: of what its feed has lent, or of what it encodes
// itself. A stream whose place is gone is slow.
func (w *writer) send(p *parked, l *feedView) {
	switch {
	case p.poll != nil:
		w.tryAnswer(p)
		return
	case p.unshared != nil:
		w.sendUnshared(p)
		return
	}
	place := &p.single[0]
	if place.next < l.base {
		w.closeStream(p, Slow)
		return
	}
	if n, ok := w.write(p, l.data[place.next-l.base:]); ok && n > 0 {
		from := place.next
		place.next += uint64(n)
		l.messages += l.countBetween(from, place.next)
	}
}

// write writes data, or what the socket takes of it: then p is blocked. ok is
// false if p is gone.
func (w *writer) write(p *parked, data []byte) (n int, ok bool) {
	if len(data) == 0 {
		return 0, true
	}
	n, err := p.write(data)
	if err != nil {
		w.close(p)
		return 0, false
	}
	if n > 0 {
		p.writtenTick = w.now
		p.midChunk = n < len(data)
	}
	if n < len(data) {
		p.blocked = true
		w.scheduleBlocked(p)
		w.parker.poller.awaitWritable(p)
	}
	return n, true
}

// sendUnshared writes what a stream of several channels is behind in any.
func (w *writer) sendUnshared(p *parked) {
	for {
		n, ok := w.write(p, p.unshared.pending)
		if p.unshared.pending = p.unshared.pending[n:]; !ok || p.blocked {
			return
		}
		p.unshared.pending = nil
		data, items, ok := w.encodeUnshared(p)
		if !ok {
			w.closeStream(p, Slow)
			return
		}
		if len(data) == 0 {
			return
		}
		if n, ok = w.write(p, data); !ok {
			return
		}
		w.counters.addMessages(p.transport(), messagesIn(items)) // those that are in rest are on their way too
		w.parker.reportWritten(items)
		if n < len(data) {
			p.unshared.pending = append([]byte(nil), data[n:]...)
			return
		}
	}
}

// encodeUnshared encodes some of what p is behind, items, into w.scratch; ok is false
// if a place has left its tail.
func (w *writer) encodeUnshared(p *parked) (data []byte, items []pubsub.Delivery, ok bool) {
	items, ok = p.takeItems(pumpItems)
	b := w.scratch[:0]
	var event, cursor []byte
	for i := range items {
		event, cursor = appendDelivery(event[:0], p.format, &items[i], p.unshared.cursors, true, cursor[:0])
		b = appendChunk(b, event)
	}
	w.keepScratch(b)
	return b, items, ok
}

// keepScratch keeps b to be used again, unless it is unusually large.
func (w *writer) keepScratch(b []byte) {
	if w.scratch = nil; cap(b) <= 2*maxUnsharedBytes {
		w.scratch = b
	}
}
