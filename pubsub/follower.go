package pubsub

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
// nothing could be missed, and begins anew.
func (it *Item) silent() bool { return it.Message == nil && it.Gap == nil }

// follower follows one channel's log and judges what it reads: what follows
// without a gap, and where and why one is. The log itself is the only judge;
// a relayed message is at most appended (see tail.live) and otherwise a reason
// to read. It does no I/O: ask for query, and take what the broker answers.
type follower struct {
	channel    string
	replicated bool   // see Options.Replicated
	at         Cursor // everything up to here was taken
	fork       *fork  // set while it is being looked for
	// seen is until when nothing can have been missed, while the log has not been
	// read since then, in ns since the epoch. 0: when the message at at was taken.
	seen int64
}

func newFollower(channel string, o *Options) follower {
	return follower{channel: channel, replicated: o.Replicated}
}

// fork is the search for the point up to which the log still is the one that
// was followed, after a new primary took messages that stand before f.at.
type fork struct {
	before ID         // walk on from here to older ones; zero: from the end
	to     ID         // what stands before the oldest message that is new for sure
	run    Generation // messages of this generation next to each other at the newer end are new for sure
	inRun  bool
	behind Generation // of the message right behind the one walked to; 0: none
}

// query is what to read next; limit is 1 to MaxPage.
func (f *follower) query(limit int) Query {
	if f.fork != nil {
		return Query{Channel: f.channel, Cursor: f.fork.before, Backward: true, Gen: f.at.Gen, Limit: limit}
	}
	return Query{Channel: f.channel, Cursor: f.at.ID, Gen: f.at.Gen, Limit: limit}
}

// take judges the answer to query. unbroken says that nothing can have
// been missed since f.at: the relay carried the channel all the time. done
// says that f.at is the end of the log at the moment of the page; if not,
// query again.
func (f *follower) take(p *Page, unbroken bool) (items []Item, done bool) {
	if f.fork != nil {
		return f.walk(p), false
	}
	for _, m := range p.Messages {
		if m.IsUnreadable() { // then it says no generation, and the next one tells of a failover
			items = append(items, f.gap(UnreadableEntry, m.ID, f.at.Gen))
			continue
		}
		switch {
		case m.Prev == f.at.ID:
			if f.failedOver(m.ID.Gen, m.ID, p) {
				items = append(items, f.gap(Failover, m.Prev, m.ID.Gen))
			}
		case m.Prev.IsZero():
			if !unbroken || f.failedOver(m.ID.Gen, m.ID, p) {
				items = append(items, f.gap(Restarted, m.Prev, m.ID.Gen))
			}
		case m.Prev.Compare(f.at.ID) > 0:
			items = append(items, f.gap(Trimmed, m.Prev, m.ID.Gen))
		default:
			f.fork = &fork{before: m.ID, to: m.Prev, run: m.ID.Gen, inRun: true, behind: m.ID.Gen}
			return items, false
		}
		items = append(items, f.follow(m))
	}
	switch c := p.End.Compare(f.at.ID); {
	case c > 0:
		return items, false
	case c < 0 && p.End.IsZero():
		if unbroken && !f.failedOver(p.Gen, ID{}, p) {
			f.at = Cursor{Gen: p.Gen}
			items = append(items, Item{After: f.at})
		} else {
			items = append(items, f.gap(Restarted, ID{}, p.Gen))
		}
	case c < 0:
		f.fork = &fork{to: p.End, run: p.Gen, inRun: true}
		return items, false
	case f.failedOver(p.Gen, ID{}, p):
		items = append(items, f.gap(Failover, f.at.ID, p.Gen))
	}
	f.at.Gen, f.seen = p.Gen, 0
	return items, true
}

// failedOver reports whether gen, of the message until or of the page, is another
// generation than the one followed, which may have taken messages that gen's
// primary never had.
func (f *follower) failedOver(gen Generation, until ID, p *Page) bool {
	return f.at.Gen != 0 && f.at.Gen != gen && !f.replicated && !p.Lives.clear(f.at.Gen, f.at.ID, f.seen, until)
}

// follow moves on to m, which follows without a gap.
func (f *follower) follow(m *Message) Item {
	f.at = At(m.ID)
	return Item{Message: m, After: f.at}
}

// gap moves on to right behind to, in the log of generation gen.
func (f *follower) gap(why Reason, to ID, gen Generation) Item {
	g := &Gap{Channel: f.channel, From: f.at.ID, To: to, Reason: why}
	f.at = Cursor{ID: to, Gen: gen}
	return Item{Gap: g, After: f.at}
}

// walk takes a backward page and looks in it for the newest message of the
// generation that f.at belongs to: that one was had, everything behind it is
// new. If there is none, only the newest generation's messages are new for
// sure (generations have no order: any other may be an older one, and had);
// what lies before them the gap covers.
func (f *follower) walk(p *Page) []Item {
	k := f.fork
	for _, m := range p.Messages {
		if m.ID.Gen == f.at.ID.Gen {
			return f.forkedAt(m.ID, k.behind, p.Gen)
		}
		if k.inRun = k.inRun && m.ID.Gen == k.run; k.inRun {
			k.to = m.Prev
		}
		k.behind, k.before = m.ID.Gen, m.ID
	}
	if p.More {
		return nil
	}
	return f.forkedAt(k.to, k.run, p.Gen)
}

// forkedAt ends the search: the log goes on behind to with a message of
// generation gen, or ends there (0) under the primary's.
func (f *follower) forkedAt(to ID, gen, primary Generation) []Item {
	f.fork = nil
	if gen == 0 {
		gen = primary
	}
	if to.IsZero() {
		return []Item{f.gap(Restarted, to, gen)}
	}
	return []Item{f.gap(Rewound, to, gen)}
}
