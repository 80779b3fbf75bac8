package conn

import "comet/pubsub"

// flush writes to every stream of a shard what it is behind.
func (w *writer) flush(s *shard) {
	began := s.takeBegan()
	l := s.begin()
	blocked := 0
	w.flushing = true
	for i := len(s.seats) - 1; i >= 0; i-- { // from the end: a removal moves the last one down
		if w.lookUp(i); i >= len(s.seats) {
			continue
		}
		p := s.seats[i].stream
		if p.blocked {
			continue
		}
		if w.send(p, &l); p.needsFeed() && !p.gone {
			blocked++
		}
		if l.traced != nil && !p.gone {
			s.feed.wrote(l.traced)
			l.traced = nil
		}
	}
	w.flushing = false
	s.finish(l.end(), blocked)
	w.flushed(s, &l, began)
}

// catchUp writes to one stream what it is behind.
func (w *writer) catchUp(p *parked) {
	if p.own != nil {
		p.blocked = false
		w.send(p, &lent{})
		return
	}
	s := p.places[0].shard
	l := s.begin() // from here on the feed forgets nothing, so p needs no count as blocked
	blocked := 0
	if p.needsFeed() {
		blocked--
	}
	if len(s.seats) == 1 { // else others may be behind, even if p goes now and leaves one
		l.done = l.end()
	}
	p.blocked = false
	if w.send(p, &l); p.needsFeed() && !p.gone {
		blocked++
	}
	if !p.gone {
		s.feed.wrote(l.traced)
	}
	s.finish(l.done, blocked)
	w.countMessages(s, &l)
}

// send writes what p is behind: of what its feed has lent, or of what it encodes
// itself. A stream whose place is gone is slow.
func (w *writer) send(p *parked, l *lent) {
	switch {
	case p.poll != nil:
		w.tryAnswer(p)
		return
	case p.own != nil:
		w.sendOwn(p)
		return
	}
	place := &p.one[0]
	if place.next < l.base {
		w.goodbye(p, Slow)
		return
	}
	if n, ok := w.write(p, l.data[place.next-l.base:]); ok && n > 0 {
		from := place.next
		place.next += uint64(n)
		l.written += l.messages(from, place.next)
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
		w.remove(p)
		return 0, false
	}
	if n > 0 {
		p.written = w.now
		p.inside = n < len(data)
	}
	if n < len(data) {
		p.blocked = true
		w.fileBlocked(p)
		w.parker.poller.awaitWritable(p)
	}
	return n, true
}

// sendOwn writes what a stream of several channels is behind in any.
func (w *writer) sendOwn(p *parked) {
	for {
		n, ok := w.write(p, p.own.rest)
		if p.own.rest = p.own.rest[n:]; !ok || p.blocked {
			return
		}
		p.own.rest = nil
		data, items, ok := w.encodeOwn(p)
		if !ok {
			w.goodbye(p, Slow)
			return
		}
		if len(data) == 0 {
			return
		}
		if n, ok = w.write(p, data); !ok {
			return
		}
		w.tally.wroteMessages(p.transport(), messagesIn(items)) // those that are in rest are on their way too
		w.parker.wrote(items)
		if n < len(data) {
			p.own.rest = append([]byte(nil), data[n:]...)
			return
		}
	}
}

// encodeOwn encodes some of what p is behind, items, into w.scratch; ok is false
// if a place has left its tail.
func (w *writer) encodeOwn(p *parked) (data []byte, items []pubsub.Delivery, ok bool) {
	items, ok = p.take(pumpItems)
	b := w.scratch[:0]
	var event, cursor []byte
	for i := range items {
		event, cursor = appendDelivery(event[:0], p.format, &items[i], p.own.cursors, true, cursor[:0])
		b = appendChunk(b, event)
	}
	w.keepScratch(b)
	return b, items, ok
}

// keepScratch keeps b to be used again, unless it is unusually large.
func (w *writer) keepScratch(b []byte) {
	if w.scratch = nil; cap(b) <= 2*takeBytes {
		w.scratch = b
	}
}
