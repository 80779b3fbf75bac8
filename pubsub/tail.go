package pubsub

import (
	"slices"
	"sync"
	"time"
)

// tail is a node's gap-free copy of the newest part of one channel's log, and
// the ephemeral messages and gaps between. Subscribers are places in it.
//
// It is a state machine without I/O or clock, so that model_test.go can run it
// through everything that can go wrong: the hub feeds it what the relay
// carries (subscribed, received, disconnected) and the pages that it asks for.
type tail struct {
	limits TailLimits

	mu     sync.Mutex // guards all below
	follow logReader
	state  tailState
	// unbroken: the relay has carried the channel since follow.at was the end
	// of the log, so nothing can have been missed.
	unbroken bool
	opened   bool // follow.at is known
	noLog    bool // the log cannot be read, see unreadable

	// items[i] stands at place first+i; origin is the cursor before items[0].
	items  []Item
	first  uint64
	bytes  int
	origin Cursor
	// back is the place after the last gap at which the log went back, or on to what it
	// had before. A cursor may be in the log again and mean another place in front of
	// it, or lack what the gap skips.
	back uint64

	// pending are messages that arrived while the log is being read; those in
	// front of before arrived before the read began, so the read explains them.
	pending  []*Message
	before   int
	overflow bool // pending was full: read once more
	link     int  // counts subscribed and disconnected: a read across them proves nothing
	readLink int  // link when the read began
}

// TailLimits bound what one channel may hold in a node's memory, but for what
// one read of the log brought.
type TailLimits struct {
	Messages int // at least 1
	Bytes    int // of types, data, senders and tags
}

type tailState uint8

const (
	// waiting for the relay to carry the channel.
	waiting tailState = iota
	// reading the log; live messages wait in pending.
	reading
	// live: relayed messages that follow are appended at once.
	live
)

// subscribed: the relay carries the channel now. Read the log.
func (t *tail) subscribed() {
	t.link++
	t.state = reading
}

// disconnected: the relay carries nothing, and carried all until since.
func (t *tail) disconnected(since time.Time) {
	if t.unbroken && !since.IsZero() {
		t.follow.seen = since.UnixNano()
	}
	t.link++
	t.state = waiting
	t.unbroken = false
	t.pending, t.before, t.overflow = nil, 0, false
}

// received takes a live message. read says that the log must be read to know
// what to do with it.
func (t *tail) received(m *Message) (read bool) {
	t.trim()
	switch {
	case t.state == waiting:
		return false // the read to come brings it
	case m.Ephemeral():
		if t.opened {
			t.append(Item{Message: m, After: t.follow.at})
		}
		return false
	case t.state == reading:
		t.hold(m)
		return false
	case t.judge(m) == surprising:
		t.state = reading
		t.hold(m)
		return true
	}
	return false
}

type verdict uint8

const (
	dropped verdict = iota
	appended
	surprising
)

// judge decides what to do with a live message. The log decides about each that is
// neither plainly the next one nor plainly old.
func (t *tail) judge(m *Message) verdict {
	at := t.follow.at
	switch {
	case m.ID.Epoch != at.Epoch:
		return surprising
	case m.ID.Compare(at.Last()) <= 0:
		if t.passed(m.ID) {
			return dropped
		}
		return surprising // another program may have relayed what at is
	case t.follow.memory.has(m.ID):
		return dropped
	case m.announced():
		return surprising
	case m.Prev == at.ID, (m.Prev.IsZero() && at.ID.isStart() || t.follow.startsAfter(m.Prev)) && t.unbroken:
		// The log was empty, and nothing was missed.
		t.append(t.follow.advance(m))
		return appended
	}
	return surprising
}

// passed reports whether the tail knows what became of the message id, which is
// not after its end: it has it, has trimmed it, or a gap covers it.
func (t *tail) passed(id ID) bool {
	for i := len(t.items) - 1; i >= 0; i-- {
		switch c := t.items[i].After.ID.Compare(id); {
		case c == 0:
			return true
		case c < 0:
			return i+1 < len(t.items) && t.items[i+1].Message == nil
		}
	}
	return id.Compare(t.origin.ID) <= 0 || len(t.items) > 0 && t.items[0].Message == nil
}

// hold keeps m until the log was read.
func (t *tail) hold(m *Message) {
	if len(t.pending) >= t.limits.Messages {
		t.overflow = true
		t.unbroken = false // the log may be gone before it is read again, and m with it
		return
	}
	t.pending = append(t.pending, m)
}

// query begins a read: pass what the broker answers to addPage.
func (t *tail) query(limit int) Query {
	t.before, t.overflow = len(t.pending), false
	t.readLink = t.link
	if !t.opened {
		return Query{Channel: t.follow.channel}
	}
	return t.follow.query(limit)
}

// addPage ends a read that query began. again says that another one is
// needed.
func (t *tail) addPage(p *Page) (again bool) {
	t.trim()
	t.noLog = false
	done := true
	if t.opened {
		var items []Item
		gone := t.gone(p)
		if slices.ContainsFunc(gone, func(m *Message) bool { return m.ID.Epoch == p.Epoch }) {
			t.follow.doubt()
		}
		items, done = t.follow.judgePage(p, t.unbroken && len(gone) == 0)
		for _, it := range items {
			t.append(it)
		}
	} else {
		t.follow.begin(p)
		t.origin, t.opened = t.follow.at, true
	}
	switch {
	case t.state == waiting:
	case !done || t.readLink != t.link:
		again = true
	default:
		again = !t.goLive()
	}
	return again
}

// unreadable notes that the log cannot be read, and reports whether that is new.
func (t *tail) unreadable() bool {
	if t.noLog {
		return false
	}
	t.noLog = true
	if t.trim(); t.opened {
		t.append(t.follow.unreadable())
	}
	return true
}

// gone is the newer messages that had arrived before p was asked for, and that p,
// as far as it reaches, does not have: they were in a log that is gone by now.
func (t *tail) gone(p *Page) (all []*Message) {
	reach := p.End
	if n := len(p.Messages); n > 0 {
		reach = p.Messages[n-1].ID
	}
	for _, m := range t.pending[:t.before] {
		newer := m.ID.Compare(t.follow.at.ID) > 0 || t.follow.at.ID.isStart() && m.ID.Epoch != t.follow.at.Epoch
		toCome := m.ID.Compare(reach) > 0 && m.ID.Compare(p.End) <= 0
		if newer && !toCome && !slices.ContainsFunc(p.Messages, func(read *Message) bool { return read.ID == m.ID }) {
			all = append(all, m)
		}
	}
	return all
}

// goLive goes live with what arrived while the log was read, or reports that
// it must be read again. Messages from before the read that were not in the
// log are in no log any more.
func (t *tail) goLive() bool {
	t.unbroken = !t.overflow
	for i, m := range t.pending[t.before:] {
		if t.judge(m) == surprising {
			t.pending, t.before = t.pending[t.before+i:], 0
			return false
		}
	}
	t.pending = nil
	if t.overflow {
		return false
	}
	t.state = live
	return true
}

// startRead asks for a read where none is under way or to come, and reports
// whether there was need to ask.
func (t *tail) startRead() bool {
	if t.state != live {
		return false
	}
	t.state = reading
	return true
}

func (t *tail) append(it Item) {
	t.items = append(t.items, it)
	if g := it.Gap; g != nil && (g.Reason == Restarted || g.Reason == Rewound || g.Reason == Failover && g.To != g.From) {
		t.back = t.first + uint64(len(t.items))
	}
	t.bytes += it.size()
}

// trim drops what is over the limits. It runs before items are appended, so
// that what was appended together can be looked at until the next time.
func (t *tail) trim() {
	drop := 0
	for ; len(t.items)-drop > 1 && (len(t.items)-drop > t.limits.Messages || t.bytes > t.limits.Bytes); drop++ {
		t.bytes -= t.items[drop].size()
		t.origin = t.items[drop].After
	}
	t.items = t.items[drop:] // what is dropped goes with the array, at the next growth
	t.first += uint64(drop)
}

func (it *Item) size() int {
	const overhead = 128 // Item, Message and slice headers, about
	if it.Message == nil {
		return overhead
	}
	m := it.Message
	return overhead + len(m.Type) + len(m.Data) + len(m.From) + len(m.Tags.json)
}

// end is the place after the newest item, and the cursor there.
func (t *tail) end() (uint64, Cursor) { return t.first + uint64(len(t.items)), t.follow.at }

// locate finds the place of a subscriber that is at c, and its cursor there.
// Ephemeral messages there count as had.
func (t *tail) locate(c Cursor) (place uint64, at Cursor, ok bool) {
	if c.ID.isStart() {
		return t.locateStart(c)
	}
	for i := len(t.items); i > 0 && t.first+uint64(i) >= t.back; i-- {
		if t.items[i-1].After == c {
			return t.first + uint64(i), c, true
		}
	}
	return t.first, c, t.origin == c && t.first >= t.back
}

// locateStart is locate for the start of an empty log. It is located only while
// it is the tail's end; of both cursors the later one counts then.
func (t *tail) locateStart(c Cursor) (place uint64, at Cursor, ok bool) {
	later := c.ID.MS > t.follow.at.ID.MS
	if !t.follow.is(c) || later && !t.unbroken {
		return 0, c, false
	}
	if later {
		t.follow.at = c
	}
	place, at = t.end()
	return place, at, true
}

// from returns the items that begin at place, at most limit; ok is false if the
// place has left the tail. The slice must not be written to.
func (t *tail) from(place uint64, limit int) (items []Item, ok bool) {
	if place < t.first {
		return nil, false
	}
	items = t.items[place-t.first:]
	return items[:min(len(items), limit)], true
}
