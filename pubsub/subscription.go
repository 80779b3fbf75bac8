package pubsub

import (
	"errors"
	"time"
)

// subscription is where a subscriber is in one channel. Until it has joined the tail
// it replays the log.
type subscription struct {
	tail   *Channel
	filter *Filter // nil: all messages are for the subscriber
	watch  Watch
	start  Cursor
	last   Cursor // after the newest item that was taken
	moved  bool   // last is set
	joined bool
	next   uint64    // if joined: the place in the tail of the next item
	replay logReader // if not
	held   []Item    // replayed but not yet returned

	search *startSearch // until start is found; nil if it was given
	found  *startSearch // a finished search in an index log, until trimLast
	cut    bool         // From.Last found fewer messages than there are
	unread bool         // the log must be read once before the subscription begins
	retry  *backoff     // of reading; nil: the last time was a success
	rest   time.Time    // when the log may be read again; zero: now
	// unreadable: the log could not be read, and the subscriber knows.
	unreadable bool
}

// join makes p a place in its tail, which is locked, if the tail holds it. While
// the log cannot be read, p finds that out for itself.
func (p *subscription) join() (joined bool) {
	if !p.joined && !p.tail.noLog {
		p.next, _, p.joined = p.tail.locate(p.replay.at)
	}
	return p.joined
}

// mustRead reports whether p needs its log for what comes next.
func (p *subscription) mustRead() bool {
	switch {
	case p.search != nil:
		return true
	case p.joined || len(p.held) > 0:
		return false
	}
	p.tail.mu.Lock()
	defer p.tail.mu.Unlock()
	return !p.join()
}

// due reports whether p must read its log, and may.
func (p *subscription) due(now time.Time) bool { return !now.Before(p.rest) && p.mustRead() }

// later makes p wait before its log is read again.
func (p *subscription) later() {
	if p.retry == nil {
		p.retry = newBackoff()
	}
	p.rest = time.Now().Add(p.retry.step())
}

// failed notes that p's log could not be read.
func (p *subscription) failed(err error) {
	p.later()
	if errors.Is(err, ErrUnreadable) && !p.unread && !p.unreadable {
		p.unreadable = true
		p.held = []Item{p.replay.unreadable()}
	}
}

// query is what p has to read.
func (p *subscription) query(messages int) Query {
	if p.search != nil {
		return p.search.query(p.replay.channel, messages)
	}
	return p.replay.query(messages)
}

// addPage judges a page that was read for p. Without keep it reads the page's
// messages again later. done says that p has reached the end of the log.
func (p *subscription) addPage(page *Page, keep bool) (done bool) {
	p.unreadable = false
	if p.search != nil {
		found, whole := p.search.addPage(page)
		if found == nil {
			return false
		}
		if p.cut = p.search.cut; p.filter != nil {
			p.found = p.search
		}
		p.search = nil
		p.beginAt(found)
		page, keep = found, keep && whole
	}
	p.unread = false
	if keep {
		p.held, done = p.replay.judgePage(page, false)
	}
	return done
}

// beginAt makes p begin before the first message of page, or at the log's end.
func (p *subscription) beginAt(page *Page) {
	p.start = page.EndCursor()
	if len(page.Messages) > 0 {
		p.start = before(page.Messages[0])
		if page.Messages[0].IsUnreadable() {
			p.start.Epoch = page.Epoch
		}
	}
	p.replay.at = p.start
}

// takeNext returns what was replayed, or what the tail has for p. ErrSlow: its
// place has left the tail.
func (p *subscription) takeNext(limit, bytes int) (items []Item, err error) {
	items, err = p.takeAll(limit, bytes)
	if n := len(items); n > 0 {
		p.last, p.moved = items[n-1].After, true
	}
	return p.filter.Apply(items), err
}

// takeAll is takeNext without the filter.
func (p *subscription) takeAll(limit, bytes int) (items []Item, err error) {
	if len(p.held) > 0 {
		items = cut(p.held, limit, bytes)
		if p.held = p.held[len(items):]; len(p.held) == 0 {
			p.held = nil // or an empty slice would keep the page
		}
		return items, nil
	}
	if p.search != nil {
		return nil, nil
	}
	items, _, err = p.live(limit, bytes)
	return items, err
}

// live returns what the tail has for p, joining it if it can. ok is false if p
// must be replayed from the log.
func (p *subscription) live(limit, bytes int) (items []Item, ok bool, err error) {
	p.tail.mu.Lock()
	defer p.tail.mu.Unlock()
	if !p.join() {
		return nil, false, nil
	}
	items, ok = p.tail.from(p.next, limit)
	if !ok {
		return nil, true, ErrSlow
	}
	items = cut(items, limit, bytes)
	p.next += uint64(len(items))
	return p.replay.memory.without(items), true, nil
}

// isBehind reports whether the tail has items for p, which has joined it.
func (p *subscription) isBehind() bool {
	if !p.joined {
		return false
	}
	p.tail.mu.Lock()
	defer p.tail.mu.Unlock()
	end, _ := p.tail.end()
	return p.next < end
}

// cut returns the first items: at most limit, and no more once they have bytes
// of data.
func cut(items []Item, limit, bytes int) []Item {
	n := 0
	for n < len(items) && n < limit && bytes > 0 {
		bytes -= items[n].dataSize()
		n++
	}
	return items[:n:n]
}

func (it *Item) dataSize() int {
	if it.Message == nil {
		return 0
	}
	return len(it.Message.Data)
}
