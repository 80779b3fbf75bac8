//go:build linux

package conn

import "golang.org/x/sys/unix"

// seat takes p in and writes what it is behind already.
func (w *writer) seat(p *parked) {
	p.index, p.written = int32(len(w.all)), w.now
	w.all = append(w.all, p)
	shards := make([]*shard, len(p.places))
	for i := range p.places {
		shards[i] = p.places[i].shard
		p.places[i].seat = shards[i].take(seat{p, int32(i)})
	}
	if p.poll != nil {
		w.makeDue(p)
	}
	if w.parker.poller.add(p) != nil {
		w.remove(p)
	} else {
		w.catchUp(p)
	}
	for _, s := range shards {
		s.seated()
	}
}

// take gives a seat to who.
func (s *shard) take(who seat) int32 {
	s.seats = append(s.seats, who)
	return int32(len(s.seats) - 1)
}

// vacate frees a seat; the last one moves there.
func (s *shard) vacate(at int32, blocked bool) {
	last := len(s.seats) - 1
	moved := s.seats[last]
	s.seats[at], s.seats[last] = moved, seat{}
	s.seats = s.seats[:last]
	moved.stream.places[moved.channel].seat = at
	s.left(blocked)
}

// makeDue notes when a poll has waited long enough.
func (w *writer) makeDue(p *parked) {
	p.poll.due = w.now + 1 + uint32(p.poll.wait/w.tick)
	p.poll.slot = int32(len(w.due[p.poll.due]))
	w.due[p.poll.due] = append(w.due[p.poll.due], p)
}

func (w *writer) forgetDue(q *poll) {
	list := w.due[q.due]
	last := len(list) - 1
	list[q.slot] = list[last]
	list[q.slot].poll.slot = q.slot
	list[last] = nil
	w.due[q.due] = list[:last]
}

// remove closes a connection and forgets it.
func (w *writer) remove(p *parked) {
	if p.gone {
		return
	}
	w.forget(p)
	w.parker.poller.forget(p)
	_ = unix.Close(int(p.fd)) // nothing can be done about it
	if p.listener != nil {
		p.listener.open.Add(-1)
	}
	p.ended()
}

// forget takes p out of everything but the poller.
func (w *writer) forget(p *parked) {
	p.gone = true
	last := len(w.all) - 1
	w.all[p.index] = w.all[last]
	w.all[p.index].index = p.index
	w.all[last] = nil
	w.all = w.all[:last]
	if p.poll != nil {
		w.forgetDue(p.poll)
	}
	for i := range p.places {
		s := p.places[i].shard
		s.vacate(p.places[i].seat, p.needsFeed())
		w.parker.releaseFeed(s.feed)
	}
}

// sayGoodbye ends all.
func (w *writer) sayGoodbye() {
	for len(w.all) > 0 {
		if p := w.all[len(w.all)-1]; p.poll != nil {
			w.dismiss(p)
		} else {
			w.goodbye(p, reasonShutdown)
		}
	}
}

// goodbye ends a stream, with a comet.bye if it can be written.
func (w *writer) goodbye(p *parked, reason string) {
	if !p.inside {
		b := appendChunk(nil, p.format.AppendBye(nil, reason, retryBye))
		_, _ = p.write(append(b, lastChunk...)) // one that cannot take it misses only the politeness
		p.discard()
	}
	w.remove(p)
}
