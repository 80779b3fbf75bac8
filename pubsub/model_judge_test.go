package pubsub

// judged is what a client has got so far, and the rules it is judged by:
//
//  1. Messages come in the order in which they were accepted, each once.
//  2. What does not come is told: by a gap that covers it, before the next
//     message comes.
//  3. A gap begins where the client is, and the next message follows its end.
//  4. No gap is invented or told again.
//
// Known and accepted: a position of 0-0, in an empty log, says nothing about
// which life of the log it is in: one that came and went since is not told. And
// what a wipe overtook on its way to a node (that has not yet noticed that its
// link is dead) may be lost there silently, if the node reads in that moment,
// or come once more to a client that is at 0-0 since.
type judged struct {
	started bool
	cursor  Cursor // of the last item that the client saw: it resumes here
	at      Cursor // of the last item, silent ones too
	low     int    // everything accepted up to here it has or was told of
	fresh   bool   // it came with 0-0: what is the first to come, is the first there is
	told    map[toldGap]bool
	count   int // of messages
}

type toldGap struct {
	Gap
	after Cursor
}

// delivery is how an item came.
type delivery struct {
	live bool // from the tail
	life int  // of a silent item: the life of the log that had begun unseen
}

// order is of the message id; the zero ID stands before all.
func (w *world) order(id ID) int {
	switch m := w.byID[id]; {
	case m != nil:
		return m.order
	case !id.IsZero():
		w.fail("ID %v was never given", id)
	}
	return 0
}

// covers is the order up to which whoever is at c has everything, or was told
// that it will not come: a generation ends what earlier ones took.
func (w *world) covers(c Cursor) int {
	if c.Gen == 0 {
		return w.order(c.ID)
	}
	return max(w.order(c.ID), w.epochs[c.Gen].first-1)
}

// start is where a subscription began.
func (c *client) start(at Cursor) {
	if c.started {
		if at != c.cursor {
			c.world.fail("client %d: start at %v, not at its cursor %v", c.name, at, c.cursor)
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
		if it.After.ID != c.at.ID || it.After.Gen != c.at.Gen && c.at.Gen != 0 {
			c.world.fail("client %d: an ephemeral message moves it from %v to %v", c.name, c.at, it.After)
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
	case m == nil || m.Message != it.Message || it.After != At(m.ID):
		w.fail("client %d: message %v After %v is not the one accepted", c.name, it.Message.ID, it.After)
		return
	case m.order <= c.low && !m.overtaken:
		w.fail("client %d: message %s is repeated, late, or was told not to come", c.name, w.name(m.ID))
	case m.Prev != c.at.ID && !m.Prev.IsZero():
		w.fail("client %d: message %s follows %s, but it is at %s", c.name, w.name(m.ID), w.name(m.Prev), w.name(c.at.ID))
	}
	if !c.fresh {
		for _, lacks := range w.accepted[c.low+1 : max(c.low+1, m.order)] {
			if !lacks.overtaken && !(c.at.ID.IsZero() && lacks.cleared && lacks.life < m.life) {
				w.fail("client %d: message %s is lost silently, %s came instead", c.name, w.name(lacks.ID), w.name(m.ID))
				return
			}
		}
	}
	c.low, c.fresh = max(c.low, m.order), false
	c.count++
}

// gotSilent applies rule 2 to an item that says: the log is empty, and nothing
// was missed.
func (c *client) gotSilent(it Item, d delivery) {
	w := c.world
	w.tell("client %d: the log expired", c.name)
	if !d.live || !it.After.ID.IsZero() || it.After.Gen != c.at.Gen {
		w.fail("client %d: a silent item After %v", c.name, it.After)
	}
	for _, lacks := range w.accepted[c.low+1:] {
		if lacks.life < d.life && !lacks.overtaken {
			w.fail("client %d: message %s is lost silently, its log expired", c.name, w.name(lacks.ID))
			return
		}
	}
}

// gotGap applies rules 3 and 4.
func (c *client) gotGap(it Item, d delivery) {
	w, g := c.world, it.Gap
	w.tell("client %d: gets gap %s from %s to %s, is at %s", c.name, g.Reason, w.name(g.From), w.name(g.To), w.cursorName(it.After))
	told := toldGap{*g, it.After}
	switch {
	case g.Channel != modelChannel:
		w.fail("client %d: gap of channel %q", c.name, g.Channel)
	case g.From != c.at.ID || g.To != it.After.ID:
		w.fail("client %d: gap from %s to %s, but it goes from %s to %s", c.name, w.name(g.From), w.name(g.To), w.name(c.at.ID), w.name(it.After.ID))
	case c.told[told] && !w.overtaken(g.From):
		w.fail("client %d: gap %s from %s to %s told again", c.name, g.Reason, w.name(g.From), w.name(g.To))
	case w.mode == onlyLinks:
		w.fail("client %d: gap %s from %s to %s, where only links broke", c.name, g.Reason, w.name(g.From), w.name(g.To))
	case w.mode == onlyLog && d.live && !w.lacks(c.low):
		w.fail("client %d: gap %s from %s to %s, but it has everything", c.name, g.Reason, w.name(g.From), w.name(g.To))
	case w.skips(c.low, it):
		w.fail("client %d: gap %s from %s to %s skips what could be had", c.name, g.Reason, w.name(g.From), w.name(g.To))
	case !w.justified(c.at, it):
		w.fail("client %d: gap %s from %s to %s has no cause", c.name, g.Reason, w.cursorName(c.at), w.cursorName(it.After))
	}
	c.told[told] = true
	c.low, c.fresh = max(c.low, w.covers(it.After)), false
}

// overtaken reports whether a wipe overtook the message on its way to a node, so
// that it, and the gap behind it, may come twice.
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
// the newest generation, or if there is one that the client had in front of it.
// Whoever missed several failovers may be told of more than it lacks.
func (w *world) skips(low int, it Item) bool {
	if it.After.Gen != w.gen {
		return false // the log has changed since
	}
	had := false
	for _, m := range w.kept() {
		had = had || m.ID.Gen == it.Gap.From.Gen
		if m.order > low && m.order <= w.order(it.Gap.To) && (had || m.ID.Gen == w.gen) {
			return true
		}
	}
	return false
}

// justified reports whether what the gap it says has happened between at and
// It.After. A client that came with 0-0 learns its generation silently, so any
// is newer.
func (w *world) justified(at Cursor, it Item) bool {
	from, to := w.byID[at.ID], w.byID[it.Gap.To]
	newer := w.epochs[it.After.Gen].number > w.epochs[at.Gen].number
	switch it.Gap.Reason {
	case Trimmed:
		return to != nil && to.trimmed && to.ID.Compare(at.ID) > 0 && (from == nil || to.order > from.order)
	case Restarted:
		return to == nil && from != nil && from.life < w.life
	case Rewound:
		return newer && to != nil && from != nil && (from.lost || from.cleared)
	case Failover:
		return newer && it.Gap.To == at.ID
	}
	return false
}
