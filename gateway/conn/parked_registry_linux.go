package conn

import "golang.org/x/sys/unix"

// register takes p in.
func (w *writer) register(p *parked) {
	p.index = int32(len(w.all))
	w.all = append(w.all, p)
	w.count.Add(1)
	w.gauges.add(p, 1)
	shards := w.addToShards(p)
	if w.parker.poller.add(p) == nil {
		w.catchUp(p)
	} else {
		w.close(p)
	}
	allJoined(shards)
	w.checkNew(p)
}

// addToShards gives p the seats that it has joined for, in shards. Call allSeated when it
// has what it is behind.
func (w *writer) addToShards(p *parked) (shards []*shard) {
	p.writtenTick = w.now
	shards = make([]*shard, len(p.positions))
	for i := range p.positions {
		shards[i] = p.positions[i].shard
		p.positions[i].slot = shards[i].addSlot(slot{p, int32(i)})
	}
	w.schedule(p)
	return shards
}

func allJoined(shards []*shard) {
	for _, s := range shards {
		s.joined()
	}
}

// addSlot gives a seat to who.
func (s *shard) addSlot(who slot) int32 {
	s.slots = append(s.slots, who)
	return int32(len(s.slots) - 1)
}

// removeSlot frees a seat; the last one moves there.
func (s *shard) removeSlot(at int32, blocked bool) {
	last := len(s.slots) - 1
	moved := s.slots[last]
	s.slots[at], s.slots[last] = moved, slot{}
	s.slots = s.slots[:last]
	moved.conn.positions[moved.index].slot = at
	s.leave(blocked)
}

// close closes a connection and forgets it.
func (w *writer) close(p *parked) {
	if p.removed {
		return
	}
	w.unregister(p)
	w.parker.poller.freeSlot(p)
	_ = unix.Close(int(p.fd)) // nothing can be done about it
	if p.counted != nil {
		p.counted.release()
	}
	if p.poll == nil || p.poll.waiting {
		p.ended(p.closeReason())
	}
}

// unregister takes p out of everything but the poller.
func (w *writer) unregister(p *parked) {
	p.removed = true
	last := len(w.all) - 1
	w.all[p.index] = w.all[last]
	w.all[p.index].index = p.index
	w.all[last] = nil
	w.all = w.all[:last]
	w.count.Add(-1)
	w.gauges.add(p, -1)
	w.unschedule(p)
	if p.poll != nil && !p.poll.waiting {
		w.idle.remove(p)
	}
	w.removeFromShards(p)
}

// removeFromShards frees p's seats.
func (w *writer) removeFromShards(p *parked) {
	for i := range p.positions {
		s := p.positions[i].shard
		s.removeSlot(p.positions[i].slot, p.needsFeed())
		w.parker.releaseFeed(s.feed)
	}
}
