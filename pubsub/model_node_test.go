package pubsub

import "time"

// node is a Hub without its goroutines: the model does what the relay, the
// syncer and the housekeeping do, one step at a time. It is also the hub's
// Broker.
type node struct {
	Broker // what the model does not need panics
	world  *world
	name   int
	hub    *Hub
	link   link
	reads  []syncRead

	// silent says for the place of a silent item in a tail which life of the
	// log had begun, unseen, when the log was found empty.
	silent map[silentAt]int
}

type silentAt struct {
	tail  *tail
	place uint64
}

// link is the relay connection of a node.
type link struct {
	up       bool
	severed  bool      // to a primary of the past: brings what is in flight, and nothing after
	carrying bool      // the primary sends what is published
	changes  []bool    // subscribe or unsubscribe, on the way to the primary
	flight   []carried // on the way to the node
	unheard  int       // subscribes that are not confirmed yet, as redisbroker counts them
}

// carried is a message, only the announcement of one, or the confirmation that
// the channel is subscribed.
type carried struct {
	message   *Message
	announced bool
}

// syncRead is a read of a tail's log, in three steps: asked, answered, taken.
type syncRead struct {
	tail  *Channel
	query Query
	page  *Page // nil until answered
	life  int   // of the log that the page is from
}

func newNode(w *world, name int) *node {
	n := &node{world: w, name: name, link: link{up: true}, silent: make(map[silentAt]int)}
	n.hub = &Hub{
		broker:  n,
		options: Options{Tail: w.limits, Timeout: time.Hour}.withDefaults(),
		open:    make(map[string]*Channel),
		counts:  newCounts(),
	}
	n.hub.options.Linger = 0
	n.hub.syncer = newSyncer(n, n.hub.options, &n.hub.counts)
	return n
}

// Subscribe implements Broker.
func (n *node) Subscribe(...string) {
	n.link.changes = append(n.link.changes, true)
	n.link.unheard++
}

// Unsubscribe implements Broker.
func (n *node) Unsubscribe(...string) { n.link.changes = append(n.link.changes, false) }

// relay moves the link one step and reports whether there was one.
func (n *node) relay() bool {
	l := &n.link
	switch {
	case l.up && !l.severed && len(l.changes) > 0:
		if l.carrying = l.changes[0]; l.carrying {
			l.flight = append(l.flight, carried{})
		}
		n.world.tell("node %d: the link carries: %t", n.name, l.carrying)
		l.changes = l.changes[1:]
	case len(l.flight) > 0:
		c := l.flight[0]
		l.flight = l.flight[1:]
		if c.message == nil {
			n.confirmed()
			break
		}
		if c.announced {
			n.world.tell("node %d: hears of %s", n.name, n.world.name(c.message.ID))
			announced := *c.message
			announced.Data = nil
			relaySink{n.hub}.Received(modelChannel, &announced)
			break
		}
		n.world.tell("node %d: receives %s", n.name, n.world.name(c.message.ID))
		relaySink{n.hub}.Received(modelChannel, c.message)
	default:
		return false
	}
	return true
}

// underWay is what the link and the answers to reads will bring, or has come
// since a read was asked that is not answered.
func (n *node) underWay() (messages []*Message) {
	for _, c := range n.link.flight {
		if c.message != nil {
			messages = append(messages, c.message)
		}
	}
	for _, r := range n.reads {
		if r.page != nil {
			messages = append(messages, r.page.Messages...)
		} else {
			messages = append(messages, r.tail.pending[min(r.tail.before, len(r.tail.pending)):]...)
		}
	}
	return messages
}

// confirmed takes a confirmation; only the last one that is awaited counts.
func (n *node) confirmed() {
	if n.link.unheard--; n.link.unheard == 0 {
		n.world.tell("node %d: subscribed", n.name)
		relaySink{n.hub}.Subscribed(modelChannel)
	}
}

// lose breaks the link, with what is in flight.
func (n *node) lose() {
	if n.link.up {
		n.world.tell("node %d: link lost with %d in flight", n.name, len(n.link.flight))
		n.link = link{}
		relaySink{n.hub}.Disconnected(time.Now(), modelChannel)
	}
}

// relink makes a new link, which subscribes to what the hub has open.
func (n *node) relink() {
	if n.link.up {
		return
	}
	n.world.tell("node %d: a new link", n.name)
	n.link = link{up: true}
	if len(n.hub.open) > 0 {
		n.Subscribe()
	}
}

// letGo does what the hub does when Linger is over.
func (n *node) letGo() {
	n.hub.closeUnused()
	n.world.tell("node %d: %d channels open", n.name, len(n.hub.open))
}

// sync moves the syncer one step, as syncer.run and read do, and reports
// whether there was one. failed makes the step a read that fails.
func (n *node) sync(failed bool) bool {
	w := n.world
	switch {
	case len(n.reads) == 0:
		for _, t := range n.hub.syncer.next() {
			if !n.hub.syncer.start(t) {
				continue
			}
			n.reads = append(n.reads, syncRead{tail: t, query: t.query(w.page)})
			w.tell("node %d: reads from %s", n.name, w.name(n.reads[len(n.reads)-1].query.Cursor))
		}
		return len(n.reads) > 0
	case failed:
		for _, r := range n.reads {
			n.hub.syncer.finish(r.tail, true)
		}
		w.tell("node %d: reading failed", n.name)
		n.reads = nil
	case n.reads[0].page == nil:
		for i := range n.reads {
			r := &n.reads[i]
			r.page, r.life = w.answer(r.query), w.life
			w.tell("node %d: is answered %s", n.name, w.pageName(r.page))
		}
	default:
		for _, r := range n.reads {
			n.taken(r)
		}
		n.reads = nil
	}
	return true
}

// taken is syncer.taken, for pages as small as the model wants them.
func (n *node) taken(r syncRead) {
	t := r.tail
	first := !t.opened
	end, _ := t.end()
	again := t.addPage(r.page)
	if first {
		close(t.opening.Swap(opened).ready)
	}
	for place := max(end, t.first); place < t.first+uint64(len(t.items)); place++ {
		if t.items[place-t.first].silent() {
			n.silent[silentAt{&t.tail, place}] = r.life
		}
	}
	t.notifyWatchers(end)
	n.hub.syncer.finish(t, again)
	n.world.tell("node %d: took the answer, is at %s", n.name, n.world.cursorName(t.follow.at))
}
