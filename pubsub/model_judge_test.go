package pubsub

import "slices"

// judged is what a client has got so far, and the rules it is judged by:
//
//  1. Messages come in the order in which they were accepted, each once. Those that
//     come back with their primary may come again, but not in one subscription.
//  2. A message that does not come is covered by a gap, before the next message
//     comes.
//  3. A gap begins where the client is, and the next message follows its end.
//  4. No gap is invented or repeated. From the start of an empty log one is due
//     as soon as something may have come and expired.
//
// Known and accepted: what came to an empty log and was wiped before anybody
// looked leaves no trace. And what a wipe overtook on its way to a node (that has
// not yet noticed that its link is dead) may come once more to a client that is at
// the start since, or be lost to it silently, if the node reads in that moment.
type judged struct {
	started bool
	cursor  Cursor // of the last item that the client saw: it resumes here
	at      Cursor // of the last item, silent ones too
	low     int    // it has everything accepted up to here, or a gap covered it
	fresh   bool   // it came with 0-0: what is the first to come, is the first there is
	gaps    map[seenGap]bool
	count   int         // of messages
	here    map[ID]bool // the messages that came in this subscription
}

type seenGap struct {
	Gap
	after Cursor
}

// delivery is how an item came.
type delivery struct {
	live bool // from the tail
	life int  // of a silent item: the life of the log that had begun unseen
}

// order is the order of the message id; the zero ID stands before all.
func (w *world) order(id ID) int {
	switch m := w.byID[id]; {
	case m != nil:
		return m.order
	case !id.IsZero():
		w.fail("ID %v was never given", id)
	}
	return 0
}

// covers is the order up to which a client at c has everything, or had a gap for
// it: an epoch ends what earlier ones took.
func (w *world) covers(c Cursor) int {
	if c.Epoch == 0 {
		return w.order(c.ID)
	}
	order := w.starts[c]
	if !c.ID.isStart() {
		order = w.order(c.ID)
	} else if _, known := w.starts[c]; !known {
		w.fail("the log was not empty at %d", c.ID.emptyAt())
	}
	return max(order, w.epochs[c.Epoch].first-1)
}

// start is where a subscription began.
func (c *client) start(at Cursor) {
	if c.started {
		later := at.ID.isStart() && c.cursor.ID.isStart() && at.Epoch == c.cursor.Epoch && at.ID.emptyAt() > c.cursor.ID.emptyAt()
		if at != c.cursor && !later {
			c.world.fail("client %d: start at %v, not at its cursor %v", c.name, at, c.cursor)
		}
		if later {
			c.lacks(c.world.covers(at) + 1)
			c.cursor, c.low = at, max(c.low, c.world.covers(at))
		}
	} else {
		c.started, c.cursor = true, at
		c.low, c.fresh = c.world.covers(at), at == Cursor{}
	}
	c.at = c.cursor
}

// resume is the client's cursor after a trip as text.
func (c *client) resume() Cursor {
	for _, channels := range [][]string{{modelChannel}, {"a", modelChannel}} {
		at := make([]Cursor, len(channels))
		at[len(at)-1] = c.cursor
		got, err := ParseCursorSet(channels, NewCursorSet(channels, at).String())
		if err != nil || got[len(got)-1] != c.cursor {
			c.world.fail("cursor %v came back as %v, %v", c.cursor, got, err)
		}
	}
	return c.cursor
}

// got judges what the client gets.
func (c *client) got(it Item, d delivery) {
	switch {
	case it.silent():
		c.gotSilent(it, d)
	case it.Gap != nil:
		c.gotGap(it, d)
	case it.Message.Ephemeral():
		if it.After.Last() != c.at.Last() || it.After.Epoch != c.at.Epoch && c.at.Epoch != 0 {
			c.world.fail("client %d: an ephemeral message moves it from %v to %v", c.name, c.at, it.After)
		}
		if c.fresh && it.After.Epoch != 0 { // nothing was there to be had
			c.low, c.fresh = max(c.low, c.world.covers(it.After)), false
		}
	default:
		c.gotMessage(it)
	}
	c.at = it.After
	if !it.silent() {
		c.cursor = it.After
	}
}

// gotMessage applies rules 1 to 3.
func (c *client) gotMessage(it Item) {
	w := c.world
	m := w.byID[it.Message.ID]
	w.tell("client %d: gets %s", c.name, w.name(it.Message.ID))
	switch {
	case m == nil || m.Message != it.Message || it.After != CursorAfter(m.ID):
		w.fail("client %d: message %v After %v is not the one accepted", c.name, it.Message.ID, it.After)
		return
	case c.here[m.ID] && !m.overtaken:
		w.fail("client %d: message %s is repeated", c.name, w.name(m.ID))
	case m.order <= c.low && !m.overtaken && !m.returned && !(w.back && m.lost): // a tail may not know yet that it is lost
		w.fail("client %d: message %s is repeated, late, or was covered by a gap", c.name, w.name(m.ID))
	case m.Prev != c.at.Last() && !m.Prev.IsZero() && !(c.at.ID.isStart() && w.byID[m.Prev].cleared):
		w.fail("client %d: message %s follows %s, but it is at %s", c.name, w.name(m.ID), w.name(m.Prev), w.name(c.at.ID))
	}
	if !c.fresh && c.lacks(m.order) {
		return
	}
	c.low, c.fresh = max(c.low, m.order), false
	c.here[m.ID] = true
	c.count++
}

// lacks fails if a message before the given order is new to the client.
func (c *client) lacks(order int) bool {
	w := c.world
	for _, m := range w.accepted[c.low+1 : max(c.low+1, order)] {
		if !(m.overtaken && c.at.ID.isStart()) && !(m.wiped && c.at.ID.isStart() && w.since.Epoch != c.at.Epoch) { // within what clocks differ
			w.fail("client %d: message %s is lost silently, up to order %d", c.name, w.name(m.ID), order)
			return true
		}
	}
	return false
}

// gotSilent applies rule 2 to a silent item: the log is empty, and nothing was
// missed.
func (c *client) gotSilent(it Item, d delivery) {
	w := c.world
	if !it.After.ID.isStart() {
		if w.tell("client %d: had %s", c.name, w.name(it.After.ID)); !c.here[it.After.ID] && w.order(it.After.ID) > c.low {
			w.fail("client %d: it never had %s", c.name, w.name(it.After.ID))
		}
		return
	}
	w.tell("client %d: the log expired", c.name)
	if !it.After.ID.isStart() || it.After.Epoch != c.at.Epoch {
		w.fail("client %d: a silent item After %v", c.name, it.After)
	}
	for _, lacks := range w.accepted[c.low+1:] {
		if lacks.life < d.life && !lacks.overtaken {
			w.fail("client %d: message %s is lost silently, its log expired", c.name, w.name(lacks.ID))
			return
		}
	}
	c.low = max(c.low, w.covers(it.After))
}

// gotGap applies rules 3 and 4.
func (c *client) gotGap(it Item, d delivery) {
	w, g := c.world, it.Gap
	w.tell("client %d: gets gap %s from %s to %s, is at %s", c.name, g.Reason, w.name(g.From), w.name(g.To), w.cursorName(it.After))
	seen := seenGap{*g, it.After}
	switch {
	case g.Channel != modelChannel:
		w.fail("client %d: gap of channel %q", c.name, g.Channel)
	case g.From != c.at.Last() || g.To != it.After.Last():
		w.fail("client %d: gap from %s to %s, but it goes from %s to %s", c.name, w.name(g.From), w.name(g.To), w.name(c.at.ID), w.name(it.After.ID))
	case c.gaps[seen] && !w.overtaken(g.From) && !w.epochs[it.After.Epoch].back:
		w.fail("client %d: gap %s from %s to %s is repeated", c.name, g.Reason, w.name(g.From), w.name(g.To))
	case w.mode == onlyLinks:
		w.fail("client %d: gap %s from %s to %s, where only links broke", c.name, g.Reason, w.name(g.From), w.name(g.To))
	case w.mode == onlyLog && d.live && !w.lacks(c.low):
		w.fail("client %d: gap %s from %s to %s, but it has everything", c.name, g.Reason, w.name(g.From), w.name(g.To))
	case w.skips(c.low, it):
		w.fail("client %d: gap %s from %s to %s skips what could be had", c.name, g.Reason, w.name(g.From), w.name(g.To))
	case !w.justified(c.at, it):
		w.fail("client %d: gap %s from %s to %s has no cause", c.name, g.Reason, w.cursorName(c.at), w.cursorName(it.After))
	}
	c.gaps[seen] = true
	c.low, c.fresh = max(c.low, w.covers(it.After)), false
}

// overtaken reports whether a wipe overtook the message on its way to a node, so
// that it, and the gap after it, may come twice.
func (w *world) overtaken(id ID) bool { m := w.byID[id]; return m != nil && m.overtaken }

// lacks reports whether a message after the order low has left the log.
func (w *world) lacks(low int) bool {
	for _, m := range w.accepted[low+1:] {
		if m.trimmed || m.cleared {
			return true
		}
	}
	return false
}

// skips reports whether a gap leaves out a message that is in the log and must
// be new to a client that has everything up to low. The message is, if it is of
// the newest epoch, or if there is one that the client had in front of it.
// A client that missed several failovers may get a gap for more than it lacks.
func (w *world) skips(low int, it Item) bool {
	if it.After.Epoch != w.epoch {
		return false // the log has changed since
	}
	had := false
	for _, m := range w.kept() {
		had = had || m.ID.Epoch == it.Gap.From.Epoch
		if m.order > low && m.order <= w.order(it.Gap.To) && (had || m.ID.Epoch == w.epoch) {
			return true
		}
	}
	return false
}

// mayHaveExpired reports whether something may have come and gone between two
// starts of an empty log, or did.
func (w *world) mayHaveExpired(from, to Cursor) bool {
	kept := EndTTL(modelTTL)
	if from.Epoch != to.Epoch {
		kept -= clockSkew
	}
	return w.wiped >= from.ID.emptyAt() || int64(to.ID.emptyAt())-int64(from.ID.emptyAt()) >= kept.Milliseconds() ||
		slices.ContainsFunc(w.accepted[w.covers(from)+1:], func(m *accepted) bool { return m.cleared || m.lost })
}

// justified reports whether what the gap it says has happened between at and
// It.After. A client that came with 0-0 learns its epoch silently, so any
// is newer.
func (w *world) justified(at Cursor, it Item) bool {
	from, to := w.byID[at.Last()], w.byID[it.Gap.To]
	newer := w.epochs[it.After.Epoch].number > w.epochs[at.Epoch].number || w.epochs[it.After.Epoch].back && it.After.Epoch != at.Epoch
	switch it.Gap.Reason {
	case Trimmed:
		// Messages that came back stand where nothing says that the client's place is gone.
		back := to != nil && to.returned && to.ID.Compare(at.Last()) > 0
		return back || to != nil && to.trimmed && to.ID.Compare(at.Last()) > 0 && (from == nil || to.order > from.order)
	case Restarted:
		return (to == nil || to.cleared || to.trimmed && to.ID.Epoch != it.After.Epoch) && (from != nil && (from.life < w.life || from.returned) || from == nil && w.mayHaveExpired(at, it.After))
	case Rewound:
		return newer && to != nil && from != nil && (from.lost || from.cleared || from.returned)
	case Failover:
		return newer && (it.Gap.To == at.Last() || to != nil && (to.returned || to.cleared && at.ID.isStart()))
	}
	return false
}
