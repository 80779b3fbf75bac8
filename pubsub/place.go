package pubsub

// place is where a subscriber is in one channel. Until it has joined the tail
// it replays the log.
type place struct {
	tail   *Channel
	watch  Watch
	start  Cursor
	joined bool
	next   uint64   // if joined: the place in the tail of the next item
	replay follower // if not
	held   []Item   // replayed but not yet returned
}

// join makes p a place in its tail, which is locked, if the tail holds it.
func (p *place) join() (joined bool) {
	if !p.joined {
		p.next, _, p.joined = p.tail.locate(p.replay.at)
	}
	return p.joined
}

// live returns what the tail has for p, joining it if it can. ok is false if p
// must be replayed from the log.
func (p *place) live(limit int) (items []Item, ok bool, err error) {
	p.tail.mu.Lock()
	defer p.tail.mu.Unlock()
	if !p.join() {
		return nil, false, nil
	}
	items, ok = p.tail.from(p.next, limit)
	if !ok {
		return nil, true, ErrSlow
	}
	p.next += uint64(len(items))
	return items, true, nil
}
