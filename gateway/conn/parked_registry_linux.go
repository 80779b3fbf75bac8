package conn

import "golang.org/x/sys/unix"

// seat takes p in.
func (w *writer) seat(p *parked) {
	p.index = int32(len(w.all))
	w.all = append(w.all, p)
	w.count.Add(1)
	w.population.count(p, 1)
	shards := w.sit(p)
	if w.parker.poller.add(p) == nil {
		w.catchUp(p)
	} else {
		w.remove(p)
	}
	allSeated(shards)
	w.welcome(p)
}

// sit gives p the seats that it has joined for, in shards. Call allSeated when it
// has what it is behind.
func (w *writer) sit(p *parked) (shards []*shard) {
	p.written = w.now
	shards = make([]*shard, len(p.places))
	for i := range p.places {
		shards[i] = p.places[i].shard
		p.places[i].seat = shards[i].take(seat{p, int32(i)})
	}
	w.file(p)
	return shards
}

func allSeated(shards []*shard) {
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

// remove closes a connection and forgets it.
func (w *writer) remove(p *parked) {
	if p.gone {
		return
	}
	w.forget(p)
	w.parker.poller.forget(p)
	_ = unix.Close(int(p.fd)) // nothing can be done about it
	if p.owner != nil {
		p.owner.release()
	}
	if p.poll == nil || p.poll.waiting {
		p.ended(p.cause())
	}
}

// forget takes p out of everything but the poller.
func (w *writer) forget(p *parked) {
	p.gone = true
	last := len(w.all) - 1
	w.all[p.index] = w.all[last]
	w.all[p.index].index = p.index
	w.all[last] = nil
	w.all = w.all[:last]
	w.count.Add(-1)
	w.population.count(p, -1)
	w.unfile(p)
	if p.poll != nil && !p.poll.waiting {
		w.idle.remove(p)
	}
	w.vacate(p)
}

// vacate frees p's seats.
func (w *writer) vacate(p *parked) {
	for i := range p.places {
		s := p.places[i].shard
		s.vacate(p.places[i].seat, p.needsFeed())
		w.parker.releaseFeed(s.feed)
	}
}
