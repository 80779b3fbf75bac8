package pubsub

import (
	"math"
	"time"
)

// Item is one thing that a subscriber gets from one channel: a message or a
// gap. Items are shared and never change.
type Item struct {
	Message *Message
	Gap     *Gap
	// After is where a subscriber is once it has the item. An ephemeral
	// message does not move it.
	After Cursor
}

// silent reports whether the item only moves the cursor: the log expired while
// nothing could be missed, or what came had come before.
func (it *Item) silent() bool { return it.Message == nil && it.Gap == nil }

// logReader follows one channel's log and judges what it reads: what follows
// without a gap, and where and why one is. The log itself is the only judge;
// a relayed message is at most appended (see tail.live) and otherwise a reason
// to read. It does no I/O: ask for query, and take what the broker answers.
type logReader struct {
	channel    string
	at         Cursor      // everything up to here was taken
	divergence *divergence // set while it is being looked for
	// seen is until when nothing can have been missed, while the log has not been
	// read since then, in ns since the epoch. 0: when the message at at was taken.
	seen int64
	// emptyAfter is for at, the start of an empty log: a subscriber at a start of a later
	// time, in Unix ms, lacks nothing there. See is.
	emptyAfter uint64
	memory     memory // what was taken before the log went back, or on in another epoch
}

// divergence is the search for the point up to which the log still is the one that
// was followed, after a new primary took messages that stand before f.at.
type divergence struct {
	primary Epoch // in which the search began; in another one the log is another

	before    ID     // walk on from here to older ones; zero: from the end
	to        Cursor // in front of the oldest message that is new for sure
	run       Epoch  // messages of this epoch next to each other at the newer end are new for sure
	inRun     bool
	nextEpoch Epoch // of the message right after the one walked to; 0: none
	back      bool  // the log has again what was had
	ahead     bool  // and f.at, in front of it
}

// query is what to read next; limit is 1 to MaxPage. From the start of an empty
// log all of it is read, since another primary's clock may be behind.
func (f *logReader) query(limit int) Query {
	if f.divergence != nil {
		return Query{Channel: f.channel, Cursor: f.divergence.before, Backward: true, Epoch: f.at.Epoch, Limit: limit}
	}
	return Query{Channel: f.channel, Cursor: f.at.Last(), Epoch: f.at.Epoch, Limit: limit}
}

// judgePage judges the answer to query. unbroken says that nothing can have
// been missed since f.at: the relay carried the channel all the time. done
// says that f.at is the end of the log at the moment of the page; if not,
// query again.
func (f *logReader) judgePage(p *Page, unbroken bool) (items []Item, done bool) {
	if f.divergence != nil {
		return f.searchDivergence(p), false
	}
	for _, m := range p.Messages {
		if f.memory.has(m.ID) { // a primary of before is back: go on after the newest one that was taken
			f.divergence = &divergence{primary: p.Epoch, back: true, ahead: f.at.ID.isStart() || m.Prev == f.at.ID}
			return items, false
		}
		if m.IsUnreadable() { // it has no epoch: the next message shows a failover
			items = append(items, f.skipTo(Unreadable, Cursor{ID: m.ID, Epoch: f.at.Epoch}))
			continue
		}
		shortest, longest := sincePrev(m)
		switch {
		case m.Prev.IsZero():
			if why := f.first(m, p, unbroken); why != "" {
				items = append(items, f.skipTo(why, before(m)))
			}
		case m.Prev == f.at.ID:
			if f.failedOver(m.ID.Epoch, m.ID, p) {
				items = append(items, f.skipTo(Failover, before(m)))
			}
		case f.startsAfter(m.Prev), f.at == Cursor{} && shortest >= p.TTL:
			if f.failedOver(m.ID.Epoch, m.ID, p) {
				items = append(items, f.skipTo(Failover, before(m)))
			}
		case m.Prev.Compare(f.at.Last()) > 0:
			why := Trimmed
			if longest >= p.TTL { // the log had expired in between
				why = Restarted
			}
			items = append(items, f.skipTo(why, before(m)))
		default:
			f.divergence = &divergence{primary: p.Epoch, before: m.ID, to: before(m), run: m.ID.Epoch, inRun: true, nextEpoch: m.ID.Epoch}
			return items, false
		}
		items = append(items, f.advance(m))
	}
	switch c := p.End.Compare(f.at.Last()); {
	case c > 0:
		return items, false
	case p.End.IsZero():
		items = append(items, f.empty(p, unbroken)...)
	case c < 0:
		f.divergence = &divergence{primary: p.Epoch, to: p.EndCursor(), run: p.Epoch, inRun: true}
		return items, false
	case f.failedOver(p.Epoch, ID{}, p):
		items = append(items, f.skipTo(Failover, p.EndCursor()))
	}
	f.at.Epoch, f.seen = p.Epoch, 0
	return items, true
}

// first judges m, with which the log begins: it is why a gap goes before m, "" if
// none does.
func (f *logReader) first(m *Message, p *Page, unbroken bool) Reason {
	failedOver := f.failedOver(m.ID.Epoch, m.ID, p)
	switch {
	case f.at == Cursor{}:
		return ""
	case !f.at.ID.isStart():
		if !unbroken || failedOver || f.wiped(m.ID.MS, p) {
			return Restarted
		}
	case !unbroken && !f.stayedEmpty(m.ID.MS, m.ID.Epoch, p):
		return Restarted
	case failedOver:
		return Failover
	}
	return ""
}

// wiped reports whether the log, which p found begun again or empty at nowMS, was
// removed: since f.at it cannot have expired. A relay that has not broken does not
// prove then that nothing was missed, as the chain of Prev, which shows what the
// relay dropped, went with the log. An ID may be a moment ahead of the clock; one that
// is more is not Comet's.
func (f *logReader) wiped(nowMS uint64, p *Page) bool {
	elapsed := time.Duration(int64(nowMS)-int64(f.at.ID.MS))*time.Millisecond + skew(f.at.Epoch, p.Epoch)
	return p.PreviousEnd.IsZero() && -time.Second < elapsed && elapsed < p.TTL-p.TTL/8
}

// empty judges a page that found the log empty, and moves to its start.
func (f *logReader) empty(p *Page, unbroken bool) (items []Item) {
	expired, failedOver := !f.at.ID.isStart(), f.failedOver(p.Epoch, ID{}, p)
	switch {
	case f.at == Cursor{}:
		f.begin(p)
	case expired && (failedOver || f.wiped(p.Now, p)), !unbroken && !f.missedNothing(p):
		items = []Item{f.skipTo(Restarted, p.EndCursor())}
		f.begin(p)
	case failedOver:
		items = []Item{f.skipTo(Failover, p.EndCursor())}
		f.begin(p)
	case expired:
		f.memory.add(f.at.ID)
		f.begin(p)
		items = []Item{{After: f.at}}
	default: // emptyAfter stays
		emptyAfter := f.emptyAfter
		f.begin(p)
		f.emptyAfter = min(f.emptyAfter, emptyAfter)
	}
	if ahead := (ID{MS: p.Now, Counter: MaxCounter, Epoch: p.Epoch}); f.memory.has(ahead) { // another program relayed it
		f.memory.forget(p.Epoch)
	}
	return items
}

// begin moves to the end of the log, as if nothing were known of what was there
// before.
func (f *logReader) begin(p *Page) {
	f.at = p.EndCursor()
	f.emptyAfter = p.Now - min(p.Now, uint64(EndTTL(p.TTL).Milliseconds()))
	if past := p.PreviousEnd; !past.IsZero() {
		f.emptyAfter = max(f.emptyAfter, past.MS+skewMS(past.Epoch, p.Epoch))
	}
	if since := p.sinceMS(p.Epoch); since > 0 {
		f.emptyAfter = max(f.emptyAfter, since-1)
	}
	f.emptyAfter = min(f.emptyAfter, p.Now) // an ID may be ahead of the clock: the log is empty now
}

// doubt notes that the log has lost messages: an empty log that was read before
// need not have stayed empty.
func (f *logReader) doubt() {
	if f.at.ID.isStart() && f.at.Epoch != 0 {
		f.at.ID = ID{}
	}
}

// sincePrev is the shortest and the longest time that can have passed between the
// message before m and m.
func sincePrev(m *Message) (shortest, longest time.Duration) {
	d := time.Duration(int64(m.ID.MS)-int64(m.Prev.MS)) * time.Millisecond
	off := skew(m.ID.Epoch, m.Prev.Epoch)
	return d - off, d + off
}

// startsAfter reports whether f.at is the start of an empty log, seen empty after
// the message id was taken: so id is no news, and what comes next follows.
func (f *logReader) startsAfter(id ID) bool {
	return f.at.ID.isStart() && !id.IsZero() && id.MS+skewMS(id.Epoch, f.at.Epoch) < f.at.ID.emptyAt()
}

// missedNothing reports whether the log, which p found empty, had nothing after
// f.at.
func (f *logReader) missedNothing(p *Page) bool {
	switch {
	case f.at.ID.isStart() && p.PreviousEnd.IsZero():
		return f.stayedEmpty(p.Now, p.Epoch, p)
	case f.at.ID.isStart():
		return f.startsAfter(p.PreviousEnd)
	}
	return p.PreviousEnd == f.at.ID
}

// stayedEmpty reports whether the log had nothing from f.at, its start, until
// nowMS, by the clock of the primary of epoch epoch that answered p: what it
// took would still be known. A rule whose TTL was made longer meanwhile is taken for what it is now.
func (f *logReader) stayedEmpty(nowMS uint64, epoch Epoch, p *Page) bool {
	since, kept := f.at.ID.emptyAt(), (EndTTL(p.TTL) - skew(epoch, f.at.Epoch)).Milliseconds()
	return since != 0 && since >= min(nowMS, p.sinceMS(f.at.Epoch)) && int64(nowMS)-int64(since) < kept
}

// is reports whether a subscriber at c, the start of an empty log, lacks nothing
// at f.at: f has found the log empty early enough, and followed it since.
func (f *logReader) is(c Cursor) bool {
	return f.at.ID.isStart() && c.Epoch == f.at.Epoch && c.ID.emptyAt() > f.emptyAfter
}

// failedOver reports whether epoch, of the message until or of the page, is another
// epoch than the one followed, which may have taken messages that epoch's
// primary never had.
func (f *logReader) failedOver(epoch Epoch, until ID, p *Page) bool {
	return f.at.Epoch != 0 && f.at.Epoch != epoch && !p.Epochs.clear(f.at.Epoch, f.at.ID, f.seen, until)
}

// advance moves on to m, which follows without a gap.
func (f *logReader) advance(m *Message) Item {
	if m.ID.Epoch != f.at.ID.Epoch {
		f.memory.add(f.at.ID)
	}
	f.at = CursorAfter(m.ID)
	return Item{Message: m, After: f.at}
}

// skipTo moves on to to.
func (f *logReader) skipTo(why Reason, to Cursor) Item {
	g := &Gap{Channel: f.channel, From: f.at.Last(), To: to.Last(), Reason: why}
	if left := f.at.ID; left != to.ID {
		if why == Trimmed { // what its epoch took up to there will not come
			left.MS, left.Counter = to.ID.MS, to.ID.Counter
		}
		f.memory.add(left)
	}
	f.at, f.emptyAfter = to, math.MaxUint64
	return Item{Gap: g, After: f.at}
}

// unreadable is the gap where the log cannot be read.
func (f *logReader) unreadable() Item {
	at := f.at.Last()
	return Item{Gap: &Gap{Channel: f.channel, From: at, To: at, Reason: Unreadable}, After: f.at}
}

// searchDivergence takes a backward page and looks in it for the newest message that was had:
// one of the epoch that f.at belongs to or, where the log is back, one that is
// remembered. Everything after it is new. If there is none, or one that was had
// longer ago, only the newest epoch's messages are new for
// sure (epochs have no order: any other may be an older one, and had);
// what lies before them the gap covers.
func (f *logReader) searchDivergence(p *Page) []Item {
	k := f.divergence
	if p.Epoch != k.primary {
		f.divergence = nil // judge the log as it is now
		return nil
	}
	for _, m := range p.Messages {
		switch passed := f.memory.has(m.ID); {
		case f.took(m.ID), passed && k.back:
			return f.divergedAt(Cursor{ID: m.ID, Epoch: k.nextEpoch}, p.Epoch)
		case passed:
			return f.divergedAt(k.to, p.Epoch)
		}
		if k.inRun = k.inRun && (m.ID.Epoch == k.run || f.memory.knows(m.ID.Epoch)); k.inRun {
			k.to = before(m)
		}
		k.nextEpoch, k.before = m.ID.Epoch, m.ID
	}
	switch {
	case p.More:
		return nil
	case k.back: // not any more: judge it as it is now
		f.divergence = nil
		return nil
	}
	return f.divergedAt(k.to, p.Epoch)
}

// took reports whether the message id is f.at, or one that its epoch took
// before.
func (f *logReader) took(id ID) bool {
	return id.Epoch == f.at.ID.Epoch && id.Epoch != 0 && id.Compare(f.at.ID) <= 0
}

// divergedAt ends the search: the log goes on after to with a message of to's
// epoch, or ends there (0) under the primary's.
func (f *logReader) divergedAt(to Cursor, primary Epoch) []Item {
	ahead := f.divergence.ahead
	f.divergence = nil
	if to.Epoch == 0 {
		to.Epoch = primary
	}
	switch {
	case to == f.at:
		return nil // the log has come back meanwhile
	case to.Last().IsZero():
		return []Item{f.skipTo(Restarted, to)}
	case to.ID == f.at.ID, ahead:
		return []Item{f.skipTo(Failover, to)}
	}
	left := f.at.ID
	gap := f.skipTo(Rewound, to)
	if left.Epoch == primary { // its own log does not have it: another program relayed it
		f.memory.forget(primary)
	}
	return []Item{gap}
}
